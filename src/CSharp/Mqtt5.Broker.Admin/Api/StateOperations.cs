using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// The broker as a whole.
internal static class StateOperations
{
    public static Task OverviewAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.Overview(), AdminJson.Default.MqttBrokerOverview);

    public static Task ListenersAsync(AdminCall call) =>
        call.AnswerAsync(new AdminList<MqttListenerInfo>(call.Inspection.Listeners()), AdminJson.Default.AdminListMqttListenerInfo);

    public static Task DroppedAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.Drops(), AdminJson.Default.MqttDrops);

    public static Task LimitsAsync(AdminCall call) =>
        call.AnswerAsync(new LimitsAnswer(call.Inspection.LimitsExceeded(), call.Inspection.Refusals()), AdminJson.Default.LimitsAnswer);

    public static Task MetricsAsync(AdminCall call)
    {
        call.Context.Response.ContentType = PrometheusText.ContentType;
        return call.Context.Response.WriteAsync(call.Service.Metrics.Write(), call.Context.RequestAborted);
    }

    public static Task LiveAsync(AdminCall call) =>
        call.AnswerAsync(new HealthAnswer("live", null), AdminJson.Default.HealthAnswer);

    public static Task ReadyAsync(AdminCall call) =>
        call.Inspection.IsReady
            ? call.AnswerAsync(new HealthAnswer("ready", null), AdminJson.Default.HealthAnswer)
            : call.AnswerAsync(
                new HealthAnswer("not ready", call.Inspection.Overview().Status), AdminJson.Default.HealthAnswer, StatusCodes.Status503ServiceUnavailable);

    public static Task OpenApiAsync(AdminCall call)
    {
        call.Context.Response.ContentType = "application/json; charset=utf-8";
        return call.Context.Response.WriteAsync(OpenApiDocument.Text, call.Context.RequestAborted);
    }
}
