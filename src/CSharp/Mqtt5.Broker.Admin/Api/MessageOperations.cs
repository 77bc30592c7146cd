using System.Text;

namespace Mqtt5.Admin;

// Subscriptions, retained messages and publishing.
internal static class MessageOperations
{
    private const int MostExplainedBytes = 1 << 20;
    private const int MostRemoved = 10_000;

    public static Task SubscriptionsAsync(AdminCall call) =>
        call.AnswerAsync(
            call.Inspection.Subscriptions(call.Count(), call.Cursor(), call.Text("client"), Filter(call), Topic(call.Text("topic"))),
            AdminJson.Default.AdminPageMqttSubscriptionInfo);

    public static Task GroupsAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.SharedGroups(call.Count(), call.Cursor()), AdminJson.Default.AdminPageMqttSharedGroupInfo);

    public static Task RetainedAsync(AdminCall call)
    {
        var filter = Filter(call) ?? "#";
        var (count, cursor) = (call.Count(), call.Cursor());

        if (filter.StartsWith("$share/", StringComparison.Ordinal))
            throw AdminProblem.Bad("filter", "a shared filter has no retained messages");

        try
        {
            return call.AnswerAsync(call.Inspection.Retained(filter, count, cursor), AdminJson.Default.AdminPageMqttMessageInfo);
        }
        catch (ArgumentException)
        {
            throw AdminProblem.Bad("cursor", "it is not one that a page of this filter gave");
        }
    }

    public static Task RetainedMessageAsync(AdminCall call) =>
        call.AnswerAsync(call.Inspection.RetainedAt(Topic(call.Required("topic"))!) ?? throw NoMessage(), AdminJson.Default.MqttMessageInfo);

    public static Task RemoveRetainedAsync(AdminCall call)
    {
        var topic = Topic(call.Required("topic"))!;
        call.Target = topic;

        if (call.Inspection.RetainedAt(topic) is null)
            throw NoMessage();

        call.Broker.Publish(new MqttMessage { Topic = topic, Retain = true });
        return call.DoneAsync();
    }

    public static Task RemoveMatchingAsync(AdminCall call)
    {
        var filter = Filter(call) ?? throw AdminProblem.Bad("filter", "it is missing");

        if (filter.StartsWith("$share/", StringComparison.Ordinal))
            throw AdminProblem.Bad("filter", "a shared filter has no retained messages");

        call.Target = filter;
        var removed = 0;
        var page = call.Inspection.Retained(filter, MqttBrokerInspection.MostEntries);

        while (true)
        {
            foreach (var message in page.Items)
                call.Broker.Publish(new MqttMessage { Topic = message.Topic, Retain = true });

            removed += page.Items.Count;

            if (page.Next is not { } next || removed >= MostRemoved)
                break;

            page = call.Inspection.Retained(filter, MqttBrokerInspection.MostEntries, next);
        }

        call.Target = $"{filter} ({removed})";
        return call.AnswerAsync(new RemovedAnswer(removed, page.Next is null), AdminJson.Default.RemovedAnswer);
    }

    public static async Task PublishAsync(AdminCall call)
    {
        var request = await call.BodyAsync(AdminJson.Default.PublishRequest).ConfigureAwait(false);
        var topic = Topic(request.Topic ?? throw AdminProblem.Bad("topic", "it is missing"))!;
        call.Target = topic;

        if (request.Qos is < 0 or > 2)
            throw AdminProblem.Bad("qos", "it is none of 0, 1, 2");

        if (request.Payload is not null && request.PayloadBase64 is not null)
            throw AdminProblem.Bad("payloadBase64", "there is a payload already");

        if (request.ExpirySeconds is < 0 or > uint.MaxValue)
            throw AdminProblem.Bad("expirySeconds", $"it is no whole number from 0 to {uint.MaxValue}");

        var message = new MqttMessage
        {
            Topic = topic,
            Payload = PayloadOf(request),
            QoS = (QoS)request.Qos,
            Retain = request.Retain,
            ContentType = request.ContentType,
            Expiry = request.ExpirySeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        };
        var reason = Publish(call, message);

        if ((byte)reason >= 0x80)
            throw new AdminProblem(409, "retain", $"the message is not retained: 0x{(byte)reason:X2} {reason}");

        await call.AnswerAsync(new PublishAnswer($"0x{(byte)reason:X2}", reason.ToString()), AdminJson.Default.PublishAnswer).ConfigureAwait(false);
    }

    public static Task ExplainAsync(AdminCall call)
    {
        var message = new MqttMessage
        {
            Topic = Topic(call.Required("topic"))!,
            QoS = (QoS)(call.Number("qos", 0, 2) ?? 1),
            Payload = new byte[call.Number("payloadBytes", 0, MostExplainedBytes) ?? 0],
        };
        return call.AnswerAsync(
            call.Inspection.Explain(call.Required("client"), message, call.Text("publisher")), AdminJson.Default.MqttDeliveryExplanation);
    }

    public static string? Filter(AdminCall call)
    {
        var filter = call.Text("filter");
        return filter is not null && TopicFilter.Create(filter) is { IsError: true, ErrorValue: var fault }
            ? throw AdminProblem.Bad("filter", fault.Detail)
            : filter;
    }

    private static ReasonCode Publish(AdminCall call, MqttMessage message)
    {
        try
        {
            return call.Broker.Publish(message);
        }
        catch (ArgumentException exception)
        {
            throw AdminProblem.Bad("body", exception.Message);
        }
    }

    private static byte[] PayloadOf(PublishRequest request)
    {
        if (request.PayloadBase64 is not { } text)
            return Encoding.UTF8.GetBytes(request.Payload ?? "");

        try
        {
            return Convert.FromBase64String(text);
        }
        catch (FormatException)
        {
            throw AdminProblem.Bad("payloadBase64", "it is no base64");
        }
    }

    private static AdminProblem NoMessage() => new(404, "topic", "this topic has no retained message");

    private static string? Topic(string? topic) =>
        topic is not null && TopicName.Create(topic) is { IsError: true, ErrorValue: var fault } ? throw AdminProblem.Bad("topic", fault.Detail) : topic;
}
