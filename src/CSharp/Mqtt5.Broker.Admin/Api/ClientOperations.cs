namespace Mqtt5.Admin;

// Clients and their sessions.
internal static class ClientOperations
{
    public static Task ListAsync(AdminCall call)
    {
        var query = new MqttClientQuery
        {
            Contains = call.Text("contains"),
            IsConnected = call.OneOf("state", "connected", "away") switch { null => null, "connected" => true, _ => false },
            Version = call.OneOf("version", "5", "3.1.1", "3.1"),
        };
        return call.AnswerAsync(call.Inspection.Clients(call.Count(), call.Cursor(), query), AdminJson.Default.AdminPageMqttClientInfo);
    }

    public static Task GetAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.Client(call.ClientOfPath()) ?? throw AdminProblem.NoClient(), AdminJson.Default.MqttClientInfo);

    public static Task SubscriptionsAsync(AdminCall call)
    {
        var client = call.ClientOfPath();

        if (call.Inspection.Client(client) is null)
            throw AdminProblem.NoClient();

        return call.AnswerAsync(
            call.Inspection.Subscriptions(call.Count(), call.Cursor(), client), AdminJson.Default.AdminPageMqttSubscriptionInfo);
    }

    public static Task InFlightAsync(AdminCall call) =>
        call.AnswerAsync(
            new AdminList<MqttMessageInfo>(call.Inspection.InFlight(call.ClientOfPath(), call.Count()) ?? throw AdminProblem.NoClient()),
            AdminJson.Default.AdminListMqttMessageInfo);

    public static Task QueueAsync(AdminCall call) =>
        call.AnswerAsync(
            new AdminList<MqttMessageInfo>(call.Inspection.Queue(call.ClientOfPath(), call.Count()) ?? throw AdminProblem.NoClient()),
            AdminJson.Default.AdminListMqttMessageInfo);

    public static Task DisconnectAsync(AdminCall call)
    {
        var client = call.ClientOfPath();

        if (call.Inspection.Client(client) is { IsConnected: false })
            throw new AdminProblem(409, "client", "the client is not connected");

        return call.Broker.Disconnect(client) ? call.DoneAsync() : throw AdminProblem.NoClient();
    }

    public static Task EndAsync(AdminCall call) =>
        call.Broker.EndSession(call.ClientOfPath()) ? call.DoneAsync() : throw AdminProblem.NoClient();
}
