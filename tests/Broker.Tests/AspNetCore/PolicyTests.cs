using System.Collections.Concurrent;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Mqtt5.AspNetCore;

namespace Mqtt5.BrokerTests.AspNetCore;

using Claim = System.Security.Claims.Claim;

// What the policies of an application allow its clients.
public sealed class PolicyTests
{
    [Fact]
    public async Task Policies_decide_by_topic_about_publish_subscribe_and_Will()
    {
        var rules = new TopicRules();
        await using var setup = await StartAsync(rules);
        var token = setup.Issuer.Token(claims: new Claim("plant", "7"));
        await using var client = await setup.ConnectAsync(token, more: " will[topic=\"plant/7/gone\"]");
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"plant/7/temp\"");
        await client.SendAsync("PUBLISH qos=1 id=2 topic=\"plant/8/temp\"");
        await client.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers", "PUBACK id=2 rc=NotAuthorized");
        await client.SendAsync("SUBSCRIBE id=3 filters[\"plant/7/#\" qos=1, \"plant/8/#\" qos=1, \"$share/g/plant/7/x\" qos=1]");
        await client.ExpectAsync("SUBACK id=3 codes[GrantedQoS1, NotAuthorized, GrantedQoS1]");
        await using var refused = await setup.ConnectAsync(
            token, "CONNACK rc=NotAuthorized", clientId: "d", more: " will[topic=\"plant/8/gone\"]");
        Assert.Contains(new MqttResource(MqttAction.Subscribe, "plant/7/x", "c", "anna", "g"), rules.Asked);
        Assert.Contains(new MqttResource(MqttAction.Publish, "plant/8/gone", "d", "anna"), rules.Asked);
    }

    [Fact]
    public async Task They_decide_before_MQTT_5_as_well()
    {
        await using var setup = await StartAsync(new TopicRules());
        var token = setup.Issuer.Token(claims: new Claim("plant", "7"));
        await using var client = await setup.ConnectAsync(token, version: ProtocolVersion.V311);
        await client.SendAsync("SUBSCRIBE id=1 filters[\"plant/7/#\" qos=1, \"plant/8/#\" qos=1]");
        var suback = Assert.IsType<Packet.Suback>(await client.ReadPacketAsync(), exactMatch: false);
        Assert.Equal([0x01, 0x80], suback.SubscriptionAcknowledgement.Reasons.Select(reason => (byte)reason));
    }

    [Fact]
    public async Task A_policy_for_receiving_keeps_messages_from_a_wider_subscription()
    {
        var rules = new TopicRules();
        await using var setup = await StartAsync(rules, policies => policies.ReceivePolicy = "topic");
        await using var client = await setup.ConnectAsync(setup.Issuer.Token(claims: [new Claim("plant", "7"), new Claim("plant", "+")]));
        await client.SubscribeAsync("\"plant/+/temp\"");
        setup.Broker.Publish(new MqttMessage { Topic = "plant/8/temp" });
        setup.Broker.Publish(new MqttMessage { Topic = "plant/7/temp" });
        await client.ExpectAsync("PUBLISH topic=\"plant/7/temp\"");
        Assert.Contains(rules.Asked, resource => resource is { Action: MqttAction.Receive, Topic: "plant/8/temp" });
    }

    [Fact]
    public async Task Decisions_are_kept_within_a_bound_and_dropped_at_re_authentication()
    {
        var rules = new TopicRules();
        await using var setup = await StartAsync(rules, policies => policies.CachedDecisions = 2);
        await using var client = await setup.ConnectByMethodAsync(setup.Issuer.Token(claims: new Claim("plant", "7")));

        async Task<ReasonCode> PublishAsync(string topic)
        {
            await client.SendAsync($"PUBLISH qos=1 id=1 topic=\"{topic}\"");
            return Assert.IsType<Packet.Puback>(await client.ReadPacketAsync(), exactMatch: false).Acknowledgement.Outcome.Reason;
        }

        // Two topics in turn, so that no route is remembered and the policy would be asked each time.
        for (var round = 0; round < 5; round++)
        {
            Assert.Equal(ReasonCode.NoMatchingSubscribers, await PublishAsync("plant/7/a"));
            Assert.Equal(ReasonCode.NotAuthorized, await PublishAsync("plant/8/a"));
        }

        Assert.Equal(2, rules.Asked.Count);
        await PublishAsync("plant/7/b");
        await PublishAsync("plant/7/a");
        Assert.Equal(4, rules.Asked.Count);

        await client.SendAsync($"AUTH rc=ReAuthenticate {TokenBroker.Method(setup.Issuer.Token(claims: new Claim("plant", "8")))}");
        await client.ExpectStartAsync("AUTH rc=Success");
        Assert.Equal(ReasonCode.NotAuthorized, await PublishAsync("plant/7/a"));
        Assert.Equal(ReasonCode.NoMatchingSubscribers, await PublishAsync("plant/8/a"));
    }

    [Fact]
    public async Task One_that_fails_or_takes_too_long_denies()
    {
        var rules = new TopicRules { Decide = resource => resource.Topic == "throws" ? throw new InvalidOperationException("broken") : Task.Delay(-1) };
        await using var setup = await StartAsync(rules, policies => policies.DecisionTimeout = TimeSpan.FromMilliseconds(200));
        await using var client = await setup.ConnectAsync(setup.Issuer.Token());
        await client.SendAsync("PUBLISH qos=1 id=1 topic=\"throws\"");
        await client.ExpectAsync("PUBACK id=1 rc=NotAuthorized");
        await client.SendAsync("PUBLISH qos=1 id=2 topic=\"late\"");
        await client.ExpectAsync("PUBACK id=2 rc=NotAuthorized");
        // The late one is asked again: it was no decision.
        await client.SendAsync("PUBLISH qos=1 id=3 topic=\"other\"");
        await client.SendAsync("PUBLISH qos=1 id=4 topic=\"late\"");
        await client.ExpectAsync("PUBACK id=3 rc=NotAuthorized", "PUBACK id=4 rc=NotAuthorized");
        Assert.Equal(2, rules.Asked.Count(resource => resource.Topic == "late"));
    }

    [Fact]
    public async Task Clients_of_the_process_are_not_asked_about_and_anonymous_ones_have_no_identity()
    {
        var rules = new TopicRules();
        await using var setup = await StartAsync(rules, configure: options => options.AllowAnonymous = true);
        await using var inside = await setup.Broker.ConnectInProcessAsync().Bounded();
        await inside.PublishAsync("plant/1/x", "1", QoS.AtLeastOnce).Bounded();
        Assert.Empty(rules.Asked);
        await using var anonymous = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"anonymous\"");
        await anonymous.SendAsync("PUBLISH qos=1 id=1 topic=\"plant/1/x\"");
        await anonymous.ExpectAsync("PUBACK id=1 rc=NotAuthorized");
        Assert.Equal(new MqttResource(MqttAction.Publish, "plant/1/x", "anonymous", null), Assert.Single(rules.Asked));
    }

    private static Task<TokenBroker> StartAsync(
        TopicRules rules, Action<MqttPolicyOptions>? policies = null, Action<MqttBrokerOptions>? configure = null) =>
        TokenBroker.StartAsync(
            authorization => authorization.AddPolicy("topic", policy => policy.AddRequirements(new TopicRequirement())),
            (services, options) =>
            {
                options.AuthorizeByPolicies(services, names =>
                {
                    names.PublishPolicy = names.SubscribePolicy = "topic";
                    policies?.Invoke(names);
                });
                configure?.Invoke(options);
            },
            services => services.AddSingleton<IAuthorizationHandler>(rules));

    private sealed class TopicRequirement : IAuthorizationRequirement;

    // A client may do everything below plant/N for each of its claims "plant".
    private sealed class TopicRules : AuthorizationHandler<TopicRequirement, MqttResource>
    {
        public ConcurrentQueue<MqttResource> Asked { get; } = new();

        public Func<MqttResource, Task> Decide { get; init; } = _ => Task.CompletedTask;

        protected override async Task HandleRequirementAsync(
            AuthorizationHandlerContext context, TopicRequirement requirement, MqttResource resource)
        {
            Asked.Enqueue(resource);
            await Decide(resource);

            if (context.User.FindAll("plant").Any(plant => resource.Topic.StartsWith($"plant/{plant.Value}/", StringComparison.Ordinal)))
                context.Succeed(requirement);
        }
    }
}
