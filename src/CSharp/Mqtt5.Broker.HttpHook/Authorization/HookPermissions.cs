using System.Text;
using Mqtt5.HttpHook.Requests;

namespace Mqtt5.HttpHook.Authorization;

// Asks for each topic of one client, with a thread that waits. What it may receive is asked in the turn of those who publish,
// who must not wait for it, so its subscriptions decide about that.
internal sealed class HookPermissions(HookQuestions questions, TimeSpan timeLimit, MqttClientIdentity client) : IMqttPermissions
{
    public bool MayPublish(TopicName topic) => Ask("publish", topic.Text, null);

    public bool MaySubscribe(TopicFilter filter) =>
        filter.IsShared
            ? Ask("subscribe", Encoding.UTF8.GetString(filter.Pattern.Span), filter.ShareName)
            : Ask("subscribe", filter.Text, null);

    public bool MayReceive(TopicName topic) => true;

    private bool Ask(string action, string topic, string? shareName)
    {
        var asking = questions.AskAsync(HookBody.OfTopic(client, action, topic, shareName));
        // By Wait the pool of threads knows that one of them waits, and adds another.
        return asking.Wait(timeLimit) && asking.Result is { IsAllowed: true };
    }
}
