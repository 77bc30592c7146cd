using System.Security.Claims;
using System.Text;

namespace Mqtt5.AspNetCore;

// What one authentication of one client may do. A re-authentication gets new ones, and with them an empty cache.
internal sealed class PolicyPermissions(PolicyAuthorizer authorizer, ClaimsPrincipal user, MqttClientIdentity client) : IMqttPermissions
{
    private readonly Lock gate = new();
    private readonly Dictionary<(MqttAction Action, string Topic), bool> decisions = [];

    public bool MayPublish(TopicName topic) => Decide(MqttAction.Publish, topic.Text, topic.Text, null, authorizer.Options.PublishPolicy);

    public bool MaySubscribe(TopicFilter filter) =>
        Decide(
            MqttAction.Subscribe,
            filter.Text,
            filter.IsShared ? Encoding.UTF8.GetString(filter.Pattern.Span) : filter.Text,
            filter.IsShared ? filter.ShareName : null,
            authorizer.Options.SubscribePolicy);

    public bool MayReceive(TopicName topic) =>
        authorizer.Options.ReceivePolicy is not { } policy || Decide(MqttAction.Receive, topic.Text, topic.Text, null, policy);

    private bool Decide(MqttAction action, string key, string topic, string? shareName, string policy)
    {
        lock (gate)
        {
            if (decisions.TryGetValue((action, key), out var known))
                return known;
        }

        // Not in the lock: policies may take their time.
        var decided = authorizer.Decide(user, new MqttResource(action, topic, client.ClientId, client.UserName, shareName), policy);

        if (decided is { } decision)
        {
            lock (gate)
            {
                if (decisions.Count >= authorizer.Options.CachedDecisions)
                    decisions.Clear();

                decisions[(action, key)] = decision;
            }
        }

        return decided ?? false;
    }
}
