using static Mqtt5.Admin.MqttAdminRole;

namespace Mqtt5.Admin;

// The operations of the API. Mapping, roles and the OpenAPI document are made of this table.
internal static class AdminRoutes
{
    private static readonly AdminParameter Limit = new("limit", "integer", "How many entries at most, 1 to 1000. Default: 100.");
    private static readonly AdminParameter Cursor = new("cursor", "string", "The next of the page before. Default: the first page.");
    private static readonly AdminParameter Client = new("client", "string", "The Client Identifier, in place of that of the path, for one that no path can hold, such as '..'.");

    public static IReadOnlyList<AdminRoute> All { get; } =
    [
        new("GET", "overview", Viewer, "The figures of the broker now.", StateOperations.OverviewAsync) { Answer = AdminJson.Default.MqttBrokerOverview },
        new("GET", "me", Viewer, "Who asks, and with which role.", StateOperations.MeAsync) { Answer = AdminJson.Default.MeAnswer },
        new("GET", "history", Viewer, "The figures of the last hour, a sample every five seconds.", StateOperations.HistoryAsync) { Answer = AdminJson.Default.HistoryAnswer },
        new("GET", "listeners", Viewer, "Where the broker listens.", StateOperations.ListenersAsync) { Answer = AdminJson.Default.AdminListMqttListenerInfo },
        new("GET", "dropped", Viewer, "Messages that were dropped or refused, by reason.", StateOperations.DroppedAsync) { Answer = AdminJson.Default.MqttDrops },
        new("GET", "limits", Viewer, "How often limits were exceeded, by name, and connections refused, by reason.", StateOperations.LimitsAsync) { Answer = AdminJson.Default.LimitsAnswer },
        new("GET", "metrics", Viewer, "The metrics in the text format of Prometheus.", StateOperations.MetricsAsync) { MediaType = "text/plain" },
        new("GET", "health/live", Viewer, "Whether the process answers.", StateOperations.LiveAsync) { Answer = AdminJson.Default.HealthAnswer, IsHealth = true },
        new("GET", "health/ready", Viewer, "Whether the broker serves; 503: it does not.", StateOperations.ReadyAsync) { Answer = AdminJson.Default.HealthAnswer, IsHealth = true },
        new("GET", "openapi.json", Viewer, "This document.", StateOperations.OpenApiAsync) { MediaType = "application/json" },
        new("GET", "events", Viewer, "What happens from now on, as server-sent events.", EventOperations.StreamAsync)
        {
            MediaType = "text/event-stream",
            Query =
            [
                new("kind", "string", "Only events of this kind: connected, disconnected, session-ended, dropped, refused or limit."),
                new("client", "string", "Only events of this client."),
            ],
        },
        new("GET", "events/recent", Viewer, "Events of the last hour, the newest first: at most 1024 drops and 4096 others are kept.", EventOperations.RecentAsync)
        {
            Answer = AdminJson.Default.AdminListMqttBrokerEvent,
            Query = [Limit, new("kind", "string", "Only events of this kind."), new("client", "string", "Only events of this client.")],
        },
        new("GET", "messages", Viewer, "Messages as they are published, as server-sent events: the last of each topic in a quarter of a second, and how many.", LiveOperations.StreamAsync)
        {
            MediaType = "text/event-stream",
            Query = [new("filter", "string", "The Topic Filter. Payloads are cut to 512 bytes; to 65,536 bytes if it has no wildcard.", IsRequired: true)],
        },
        new("GET", "clients", Viewer, "Clients and sessions, ordered by Client Identifier.", ClientOperations.ListAsync)
        {
            Answer = AdminJson.Default.AdminPageMqttClientInfo,
            IsSearch = true,
            Query =
            [
                Limit, Cursor,
                new("contains", "string", "Only Client Identifiers that contain this."),
                new("state", "string", "Only those in this state: connected or away."),
                new("version", "string", "Only those connected with this version: 5, 3.1.1 or 3.1."),
            ],
        },
        new("GET", "clients/{client}", Viewer, "A client and its session.", ClientOperations.GetAsync) { Answer = AdminJson.Default.MqttClientInfo, Query = [Client] },
        new("DELETE", "clients/{client}", Operator, "Ends the connection of a client; its session goes on as it asked for.", ClientOperations.DisconnectAsync) { Query = [Client] },
        new("GET", "sessions/{client}/subscriptions", Viewer, "The subscriptions of a session.", ClientOperations.SubscriptionsAsync) { Answer = AdminJson.Default.AdminPageMqttSubscriptionInfo, Query = [Client, Limit, Cursor] },
        new("GET", "sessions/{client}/inflight", Viewer, "Messages that were sent to a client and not acknowledged.", ClientOperations.InFlightAsync) { Answer = AdminJson.Default.AdminListMqttMessageInfo, Query = [Client, Limit] },
        new("GET", "sessions/{client}/queue", Viewer, "Messages that wait for a client, the first of them.", ClientOperations.QueueAsync) { Answer = AdminJson.Default.AdminListMqttMessageInfo, Query = [Client, Limit] },
        new("DELETE", "sessions/{client}", Administrator, "Ends a session and its connection. Its Will is published.", ClientOperations.EndAsync) { Query = [Client] },
        new("GET", "subscriptions", Viewer, "Subscriptions, ordered by Client Identifier and filter.", MessageOperations.SubscriptionsAsync)
        {
            Answer = AdminJson.Default.AdminPageMqttSubscriptionInfo,
            IsSearch = true,
            Query =
            [
                Limit, Cursor,
                new("client", "string", "Only those of this client."),
                new("filter", "string", "Only those with exactly this filter."),
                new("topic", "string", "Only those whose filter matches this topic."),
            ],
        },
        new("GET", "groups", Viewer, "Shared subscriptions with their members, ordered by filter.", MessageOperations.GroupsAsync) { Answer = AdminJson.Default.AdminPageMqttSharedGroupInfo, IsSearch = true, Query = [Limit, Cursor] },
        new("GET", "retained", Viewer, "Retained messages, without their payloads.", MessageOperations.RetainedAsync)
        {
            Answer = AdminJson.Default.AdminPageMqttMessageInfo,
            IsSearch = true,
            Query = [Limit, Cursor, new("filter", "string", "Only topics that match this Topic Filter. Default: #.")],
        },
        new("GET", "retained/message", Viewer, "The retained message of a topic, with its payload in base64, cut to 65,536 bytes.", MessageOperations.RetainedMessageAsync)
        {
            Answer = AdminJson.Default.MqttMessageInfo,
            Query = [new("topic", "string", "The topic.", IsRequired: true)],
        },
        new("DELETE", "retained/message", Operator, "Removes the retained message of a topic, by a message without payload.", MessageOperations.RemoveRetainedAsync)
        {
            Query = [new("topic", "string", "The topic.", IsRequired: true)],
        },
        new("DELETE", "retained", Operator, "Removes the retained messages of a Topic Filter, at most 10,000 of them; isComplete says whether that were all.", MessageOperations.RemoveMatchingAsync)
        {
            Answer = AdminJson.Default.RemovedAnswer,
            IsSearch = true,
            Query = [new("filter", "string", "The Topic Filter.", IsRequired: true)],
        },
        new("POST", "publish", Operator, "Publishes a message in the name of the broker. Access rules do not apply.", MessageOperations.PublishAsync)
        {
            Body = AdminJson.Default.PublishRequest,
            Answer = AdminJson.Default.PublishAnswer,
        },
        new("POST", "reload", Administrator, "Reads the files of the broker again, all or nothing; 409 names the file that cannot be used.", StateOperations.ReloadAsync) { Answer = AdminJson.Default.ReloadAnswer },
        new("GET", "explain", Viewer, "Why a client would get a message, or would not.", MessageOperations.ExplainAsync)
        {
            Answer = AdminJson.Default.MqttDeliveryExplanation,
            Query =
            [
                new("client", "string", "The Client Identifier.", IsRequired: true),
                new("topic", "string", "The topic.", IsRequired: true),
                new("qos", "integer", "The QoS of the message. Default: 1."),
                new("payloadBytes", "integer", "The size of its payload, to 1,048,576 bytes. Default: 0."),
                new("publisher", "string", "The client that would publish it. Default: the broker itself."),
            ],
        },
    ];
}
