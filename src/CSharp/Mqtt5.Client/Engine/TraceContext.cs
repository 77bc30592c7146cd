using System.Diagnostics;

namespace Mqtt5.Engine;

// The W3C trace context in User Properties.
internal static class TraceContext
{
    private const string Parent = "traceparent";
    private const string State = "tracestate";

    public static Activity? StartPublishing(string topic)
    {
        if (!Telemetry.Source.HasListeners())
            return null;

        var activity = Telemetry.Source.StartActivity("mqtt publish", ActivityKind.Producer);
        return Describe(activity, topic, "publish");
    }

    public static Activity? StartHandling(MqttReceivedMessage message, bool propagates)
    {
        if (!Telemetry.Source.HasListeners())
            return null;

        var parent = propagates ? ContextOf(message.UserProperties) : default;
        return Describe(Telemetry.Source.StartActivity("mqtt process", ActivityKind.Consumer, parent), message.Topic, "process");
    }

    // The properties and the context of the current activity after them.
    public static UserProperties Add(UserProperties properties)
    {
        if (Activity.Current is not { IdFormat: ActivityIdFormat.W3C, Id: { } id } activity)
            return properties;

        var all = new List<UserProperty>(properties) { UserProperty.Of(Parent, id) };

        if (!string.IsNullOrEmpty(activity.TraceStateString))
            all.Add(UserProperty.Of(State, activity.TraceStateString));

        return UserProperties.Of(all);
    }

    private static ActivityContext ContextOf(UserProperties properties)
    {
        string? parent = null;
        string? state = null;

        foreach (var property in properties)
        {
            if (property.Name.Text == Parent)
                parent = property.Value.Text;
            else if (property.Name.Text == State)
                state = property.Value.Text;
        }

        return ActivityContext.TryParse(parent, state, isRemote: true, out var context) ? context : default;
    }

    private static Activity? Describe(Activity? activity, string topic, string operation) =>
        activity?.SetTag("messaging.system", "mqtt")
            .SetTag("messaging.destination.name", topic)
            .SetTag("messaging.operation.type", operation);
}
