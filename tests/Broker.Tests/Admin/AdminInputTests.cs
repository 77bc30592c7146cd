using System.Net;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests;

// Bad input is a problem that says where and what, and changes nothing; budgets hold.
public sealed class AdminInputTests
{
    [Theory]
    [InlineData("clients?limit=0", "limit")]
    [InlineData("clients?limit=1001", "limit")]
    [InlineData("clients?limit=-1", "limit")]
    [InlineData("clients?limit=many", "limit")]
    [InlineData("clients?limit=1&limit=2", "limit")]
    [InlineData("clients?cursor=%21", "cursor")]
    [InlineData("clients?cursor=_w", "cursor")]
    [InlineData("clients?state=asleep", "state")]
    [InlineData("clients?version=4", "version")]
    [InlineData("subscriptions?topic=a/%2B", "topic")]
    [InlineData("subscriptions?filter=a%23", "filter")]
    [InlineData("groups?limit=1001", "limit")]
    [InlineData("retained?filter=a/%23/b", "filter")]
    [InlineData("retained?filter=$share/g/a", "filter")]
    [InlineData("retained?filter=a&cursor=Yg", "cursor")]
    [InlineData("retained/message", "topic")]
    [InlineData("retained/message?topic=%23", "topic")]
    [InlineData("explain?topic=a", "client")]
    [InlineData("explain?client=a", "topic")]
    [InlineData("explain?client=a&topic=%2B", "topic")]
    [InlineData("explain?client=a&topic=b&qos=3", "qos")]
    [InlineData("explain?client=a&topic=b&payloadBytes=1048577", "payloadBytes")]
    [InlineData("events?kind=born", "kind")]
    public async Task A_bad_parameter_is_named(string path, string where)
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(MqttAdminRole.Viewer);
        using var answer = await client.GetAsync(path);
        Assert.Equal(where, await AdminSetup.ProblemAsync(answer, HttpStatusCode.BadRequest));
    }

    [Theory]
    [InlineData("clients/absent")]
    [InlineData("sessions/absent/subscriptions")]
    [InlineData("sessions/absent/inflight")]
    [InlineData("sessions/absent/queue")]
    public async Task A_client_without_a_session_is_404(string path)
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(MqttAdminRole.Viewer);
        using var answer = await client.GetAsync(path);
        Assert.Equal("client", await AdminSetup.ProblemAsync(answer, HttpStatusCode.NotFound));
    }

    [Theory]
    [InlineData("", "body")]
    [InlineData("null", "body")]
    [InlineData("[]", "body")]
    [InlineData("""{"topic":"t","retain":true,""", "body")]
    [InlineData("""{"topic":"t","retain":true,"qso":1}""", "$.qso")]
    [InlineData("""{"topic":"t","retain":1}""", "$.retain")]
    [InlineData("""{"retain":true,"payload":"x"}""", "topic")]
    [InlineData("""{"topic":"","retain":true,"payload":"x"}""", "topic")]
    [InlineData("""{"topic":"a/#","retain":true,"payload":"x"}""", "topic")]
    [InlineData("""{"topic":"t","retain":true,"payload":"x","qos":3}""", "qos")]
    [InlineData("""{"topic":"t","retain":true,"payload":"x","payloadBase64":"eA=="}""", "payloadBase64")]
    [InlineData("""{"topic":"t","retain":true,"payloadBase64":"?"}""", "payloadBase64")]
    [InlineData("""{"topic":"t","retain":true,"payload":"x","expirySeconds":4294967296}""", "expirySeconds")]
    [InlineData("""{"topic":"t","retain":true,"payload":"x","contentType":"\u0000"}""", "body")]
    public async Task A_bad_body_is_named_and_nothing_is_published(string body, string where)
    {
        await using var setup = await AdminSetup.StartAsync();
        using var answer = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish", body);
        Assert.Equal(where, await AdminSetup.ProblemAsync(answer, HttpStatusCode.BadRequest));
        Assert.Equal(0, setup.Broker.Inspection.Overview().Retained);
    }

    [Fact]
    public async Task A_body_that_is_too_large_or_no_JSON_is_refused()
    {
        await using var setup = await AdminSetup.StartAsync(configureAdmin: options => options.Api.MaximumBodyBytes = 2_000);
        using var large = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish", $$"""{"topic":"t","retain":true,"payload":"{{new string('x', 2_000)}}"}""");
        Assert.Equal("body", await AdminSetup.ProblemAsync(large, HttpStatusCode.RequestEntityTooLarge));
        using var none = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish");
        Assert.Equal("Content-Type", await AdminSetup.ProblemAsync(none, HttpStatusCode.UnsupportedMediaType));
        Assert.Equal(0, setup.Broker.Inspection.Overview().Retained);
    }

    [Fact]
    public async Task A_message_that_limits_do_not_let_be_retained_is_a_conflict()
    {
        await using var setup = await AdminSetup.StartAsync(options => options.Limits.Set(LimitName.RetainedBytes, 100));
        using var answer = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish", $$"""{"topic":"t","retain":true,"payload":"{{new string('x', 200)}}"}""");
        Assert.Equal("retain", await AdminSetup.ProblemAsync(answer, HttpStatusCode.Conflict));
    }

    [Fact]
    public async Task More_requests_than_the_budget_get_429_and_health_is_answered()
    {
        await using var setup = await AdminSetup.StartAsync(configureAdmin: options => options.Api.RequestsPerSecond = 1);
        using var client = setup.Client(MqttAdminRole.Viewer);
        var statuses = new List<HttpStatusCode>();

        while (statuses.Count < 100 && !statuses.Contains(HttpStatusCode.TooManyRequests))
        {
            using var answer = await client.GetAsync("listeners");
            statuses.Add(answer.StatusCode);
        }

        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
        using var health = await client.GetAsync("health/ready");
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
    }
}
