namespace Mqtt5.Serving;

// A target of a route, with its session at hand.
internal struct Hop(Session session, Target target)
{
    private IMqttPermissions? asked;
    private bool allowed;

    public readonly Session Session => session;

    public readonly Target Target => target;

    // Whether the session may get messages of this topic. The answer holds for its connection.
    public bool Permits(ReadOnlySpan<byte> topic)
    {
        var permissions = session.Permissions;

        if (permissions is null)
            return true;

        if (!ReferenceEquals(asked, permissions))
        {
            asked = permissions;
            allowed = permissions.MayReceive(TopicName.Of(System.Text.Encoding.UTF8.GetString(topic)));
        }

        return allowed;
    }
}
