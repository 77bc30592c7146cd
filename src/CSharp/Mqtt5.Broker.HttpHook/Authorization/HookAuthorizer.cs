using Mqtt5.HttpHook.Authentication;
using Mqtt5.HttpHook.Requests;

namespace Mqtt5.HttpHook.Authorization;

// Without questions, the authorizer that the broker had before decides about clients without rules.
internal sealed class HookAuthorizer(HookQuestions? questions, TimeSpan timeLimit, IMqttBrokerAuthorizer? before) : IMqttBrokerAuthorizer
{
    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        if (client.IsInProcess)
            return MqttPermissions.All;

        if (client.IsAway)
            return AwayPermissions.Instance;

        if (client.State is HookGrant { Rules: { } rules })
            return rules.Authorize(client);

        if (questions is not null)
            return new HookPermissions(questions, timeLimit, client);

        return before is null ? MqttPermissions.All : before.Authorize(client);
    }

    // A session from the store, whose client has shown nothing yet: messages wait for it, and are judged by its rules before
    // it gets them.
    private sealed class AwayPermissions : IMqttPermissions
    {
        public static AwayPermissions Instance { get; } = new();

        public bool MayPublish(TopicName topic) => false;

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic) => true;
    }
}
