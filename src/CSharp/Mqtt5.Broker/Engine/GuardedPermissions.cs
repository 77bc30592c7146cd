using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// The permissions that the application gave a client. They are asked in the turn of another client, so one that throws
// must not end it: it denies.
internal sealed class GuardedPermissions(IMqttPermissions permissions, ILogger logger) : ClientPermissions
{
    public override bool MayPublish(TopicName topic)
    {
        try
        {
            return permissions.MayPublish(topic);
        }
        catch (Exception failure)
        {
            return Deny(nameof(MayPublish), failure);
        }
    }

    public override bool MaySubscribe(TopicFilter filter)
    {
        try
        {
            return permissions.MaySubscribe(filter);
        }
        catch (Exception failure)
        {
            return Deny(nameof(MaySubscribe), failure);
        }
    }

    public override bool MayReceive(TopicName topic)
    {
        try
        {
            return permissions.MayReceive(topic);
        }
        catch (Exception failure)
        {
            return Deny(nameof(MayReceive), failure);
        }
    }

    private bool Deny(string what, Exception failure)
    {
        Log.HookFailed(logger, what, failure);
        return false;
    }
}
