using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mqtt5.BrokerTests.Storage;

namespace Mqtt5.BrokerTests.HttpHook;

// What clients may do by the rules of an answer, or by an answer for each topic.
public sealed class HookRuleTests
{
    [Fact]
    public async Task Rules_of_the_answer_decide_without_more_questions()
    {
        await using var setup = await HookBroker.StartAsync(topics: true);
        setup.Server.Say("""{"allow":true,"userName":"anna","rules":["allow all home/%u/#","deny publish home/anna/door","allow subscribe news/#"]}""");
        await using var client = await setup.ConnectAsync(user: "someone");
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"home/anna/lamp\"");
        await client.SendAsync("PUBLISH qos=1 id=2 topic=\"home/anna/door\"");
        await client.SendAsync("PUBLISH qos=1 id=3 topic=\"home/otto/lamp\"");
        await client.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers", "PUBACK id=2 rc=NotAuthorized", "PUBACK id=3 rc=NotAuthorized");
        await client.SendAsync("SUBSCRIBE id=4 filters[\"news/#\" qos=1, \"home/otto/#\" qos=1]");
        await client.ExpectAsync("SUBACK id=4 codes[GrantedQoS1, NotAuthorized]");
        Assert.Equal("/connect", Assert.Single(setup.Server.Requests).Path);
    }

    [Fact]
    public async Task An_empty_list_of_rules_allows_nothing()
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Say("""{"allow":true,"rules":[]}""");
        await using var client = await setup.ConnectAsync();
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"a\"");
        await client.ExpectAsync("PUBACK id=1 rc=NotAuthorized");
    }

    [Fact]
    public async Task Each_topic_is_asked_about_where_the_answer_has_no_rules()
    {
        await using var setup = await HookBroker.StartAsync(topics: true);
        setup.Server.Answer = (context, body) => context.Response.WriteAsJsonAsync(new
        {
            allow = context.Request.Path == "/connect" || body.GetProperty("topic").GetString()!.StartsWith("plant/7/", StringComparison.Ordinal),
        });
        await using var client = await setup.ConnectAsync(more: " will[topic=\"plant/7/gone\"]");
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"plant/7/temp\"");
        await client.SendAsync("PUBLISH qos=1 id=2 topic=\"plant/8/temp\"");
        await client.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers", "PUBACK id=2 rc=NotAuthorized");
        await client.SendAsync("SUBSCRIBE id=3 filters[\"plant/7/#\" qos=1, \"plant/8/#\" qos=1, \"$share/g/plant/7/x\" qos=1]");
        await client.ExpectAsync("SUBACK id=3 codes[GrantedQoS1, NotAuthorized, GrantedQoS1]");
        await setup.TryRefusedWillAsync("plant/8/gone");
        var asked = setup.Server.Requests.Where(request => request.Path == "/topic").Select(request => JsonDocument.Parse(request.Body).RootElement).ToArray();
        Assert.Equal(
            ["publish plant/7/gone ", "publish plant/7/temp ", "publish plant/8/temp ", "subscribe plant/7/# ", "subscribe plant/8/# ", "subscribe plant/7/x g", "publish plant/8/gone "],
            asked.Select(one => $"{one.GetProperty("action")} {one.GetProperty("topic")} {one.GetProperty("shareName")}"));
        Assert.All(asked, one => Assert.Equal("anna 127.0.0.1", $"{one.GetProperty("userName")} {one.GetProperty("address")}"));
        Assert.Equal(["clientId", "userName", "action", "topic", "shareName", "address", "listener"], asked[0].EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public async Task A_topic_without_an_answer_is_denied_and_asked_about_again()
    {
        await using var setup = await HookBroker.StartAsync(topics: true);
        setup.Server.Answer = (context, _) =>
        {
            context.Response.StatusCode = context.Request.Path == "/connect" ? 200 : 503;
            return context.Response.WriteAsync("""{"allow":true}""");
        };
        await using var client = await setup.ConnectAsync();
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a\"]");
        await client.ExpectAsync("SUBACK id=1 codes[NotAuthorized]");
        setup.Server.Say("""{"allow":true}""");
        await client.SubscribeAsync("\"a\"");
    }

    [Fact]
    public async Task Without_rules_and_questions_the_authorizer_before_decides()
    {
        await using var setup = await HookBroker.StartAsync(
            configure: options => options.Authorizer = MqttAccessRules.Parse("user anna\n  allow all a/#"));
        await using var client = await setup.ConnectAsync();
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"a/x\"");
        await client.SendAsync("PUBLISH qos=1 id=2 topic=\"b/x\"");
        await client.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers", "PUBACK id=2 rc=NotAuthorized");
        await using var everything = await HookBroker.StartAsync();
        await using var other = await everything.ConnectAsync();
        await other.SendAsync("PUBLISH qos=1 id=1 topic=\"b/x\"");
        await other.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers");
    }

    [Fact]
    public async Task Clients_of_the_process_are_not_asked_about()
    {
        await using var setup = await HookBroker.StartAsync(topics: true);
        await using var inside = await setup.Broker.ConnectInProcessAsync().Bounded();
        await inside.PublishAsync("a", "1", QoS.AtLeastOnce).Bounded();
        Assert.Empty(setup.Server.Requests);
    }

    [Fact]
    public async Task Messages_wait_for_a_restored_session_and_are_judged_by_its_rules()
    {
        var store = new MemoryStore();
        const string Connect = "CONNECT clientid=\"c\" username=\"anna\" password=\"secret\" props{SessionExpiryInterval=1000}";

        await using (var first = await HookBroker.StartAsync(configure: options => options.Store = store))
        {
            first.Server.Say("""{"allow":true,"rules":["allow all #"]}""");
            await using var client = await RawClient.ConnectAsync(first.Broker, Connect);
            await client.SubscribeAsync("\"#\" qos=1");
        }

        await using var setup = await HookBroker.StartAsync(configure: options =>
        {
            options.Store = store.Crashed();
            // Not what decides about a client that will have rules.
            options.Authorizer = MqttAccessRules.Parse("everyone\n  deny all #");
        });
        setup.Broker.Publish(new MqttMessage { Topic = "a/1", QoS = QoS.AtLeastOnce });
        setup.Broker.Publish(new MqttMessage { Topic = "b/1", QoS = QoS.AtLeastOnce });
        setup.Server.Say("""{"allow":true,"rules":["allow all b/#"]}""");
        await using var back = await RawClient.ConnectAsync(setup.Broker, Connect, "CONNACK sp=1");
        await back.ExpectStartAsync("PUBLISH qos=1 topic=\"b/1\" id=1");
    }
}
