using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Mqtt5.Admin;

// The broker as a whole.
internal static class StateOperations
{
    public static Task OverviewAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.Overview(), AdminJson.Default.MqttBrokerOverview);

    public static async Task MeAsync(AdminCall call)
    {
        var role = await RoleOf(call).ConfigureAwait(false);
        var name = call.Context.User.Identity is { IsAuthenticated: true, Name: { Length: > 0 } known } ? known : "anonymous";
        var canSignOut = call.Service.Options.HasOwnLogin && call.Context.Request.Cookies.ContainsKey(AdminCookies.Name);
        await call.AnswerAsync(new MeAnswer(name, role.ToString().ToLowerInvariant(), canSignOut), AdminJson.Default.MeAnswer).ConfigureAwait(false);
    }

    public static Task HistoryAsync(AdminCall call) =>
        call.AnswerAsync(call.Service.History.Read(), AdminJson.Default.HistoryAnswer);

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

    public static async Task ReloadAsync(AdminCall call)
    {
        var reload = call.Service.Options.Reload ?? throw new AdminProblem(StatusCodes.Status409Conflict, null, "this broker has no files that it could read again");

        // A request that is given up does not end it in the middle.
        var outcome = await reload(CancellationToken.None).ConfigureAwait(false);

        if (!outcome.IsApplied)
            throw new AdminProblem(StatusCodes.Status409Conflict, null, outcome.Detail);

        await call.AnswerAsync(new ReloadAnswer(outcome.Detail), AdminJson.Default.ReloadAnswer).ConfigureAwait(false);
    }

    public static Task OpenApiAsync(AdminCall call)
    {
        call.Context.Response.ContentType = "application/json; charset=utf-8";
        return call.Context.Response.WriteAsync(OpenApiDocument.Text, call.Context.RequestAborted);
    }

    // The greatest role whose policy the caller satisfies. Where all is for everyone, policies are not asked.
    private static async Task<MqttAdminRole> RoleOf(AdminCall call)
    {
        if (call.Context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            return MqttAdminRole.Administrator;

        var authorization = call.Context.RequestServices.GetRequiredService<IAuthorizationService>();

        foreach (var role in new[] { MqttAdminRole.Administrator, MqttAdminRole.Operator })
        {
            if (call.Service.Options.PolicyOf(role) is not { } policy || (await authorization.AuthorizeAsync(call.Context.User, null, policy).ConfigureAwait(false)).Succeeded)
                return role;
        }

        return MqttAdminRole.Viewer;
    }
}
