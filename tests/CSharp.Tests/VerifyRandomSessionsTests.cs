using System.Text.Json;
using System.Xml.Linq;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

public sealed class VerifyRandomSessionsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Random_sessions_break_no_rule_at_the_embedded_broker()
    {
        var run = await CommandRun.InProcessAsync(null, "verify", "--embedded", "--seed", "3", "--random-sessions", "40", "--only", "random session");
        Assert.Contains("40 random sessions: no rule was broken.", run.Output, StringComparison.Ordinal);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    [ShowsOption("verify", "--random-sessions", "--only")]
    public async Task A_random_session_that_fails_is_shown_with_a_small_script_and_found_again_by_its_seed()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var wrong = new WrongServer(broker.Addresses[0], packet => VerifyTests.Mistake("no UNSUBACK", packet));
        var json = Path.GetTempFileName();
        var junit = Path.GetTempFileName();

        try
        {
            var first = await CommandRun.InProcessAsync(null, ["verify", wrong.Url, "--seed", "3", "--random-sessions", "8", "--only", "random session", "--patience", "1", "--json", json, "--junit", junit]);
            Assert.Equal(1, first.ExitCode);
            using var results = JsonDocument.Parse(await File.ReadAllTextAsync(json, Token));
            Assert.Equal(8, results.RootElement.GetProperty("randomSessions").GetInt32());
            var failure = Assert.Single(results.RootElement.GetProperty("probes").EnumerateArray());
            Assert.Equal("fail", failure.GetProperty("verdict").GetString());
            var script = failure.GetProperty("script").EnumerateArray().Select(one => one.GetString()!).ToArray();
            Assert.InRange(script.Length, 2, 4);
            Assert.Contains(script, line => line.Contains("UNSUBSCRIBE", StringComparison.Ordinal));
            Assert.All(script, line => Assert.Contains(line, first.Output, StringComparison.Ordinal));
            var suite = XDocument.Parse(await File.ReadAllTextAsync(junit, Token)).Root!;
            var session = Assert.Single(suite.Elements("testcase"), one => one.Attribute("classname")!.Value == "random sessions");
            Assert.Contains("UNSUBSCRIBE", session.Element("failure")!.Value, StringComparison.Ordinal);

            var title = failure.GetProperty("title").GetString()!;
            var again = await CommandRun.InProcessAsync(null, ["verify", wrong.Url, "--seed", "3", "--random-sessions", "8", "--only", title, "--patience", "1"]);
            Assert.Contains("1 random session: 1 fail", again.Output, StringComparison.Ordinal);
            Assert.Equal(1, again.ExitCode);
        }
        finally
        {
            File.Delete(json);
            File.Delete(junit);
        }
    }
}
