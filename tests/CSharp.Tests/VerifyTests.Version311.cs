using System.Text.Json;
using Mqtt5.Cli;
using Mqtt5.Tests;
using Mqtt5.Verification;

namespace Mqtt5.CSharp.Tests;

/// <summary><c>mqtt5 verify -V 311</c>.</summary>
public sealed partial class VerifyTests
{
    // What a server does wrong, and a statement of MQTT 3.1.1 that it breaks.
    public static TheoryData<string, string> WrongServersOf311 => new()
    {
        { "no PINGRESP", "MQTT3-3.12.4-1" },
        { "no UNSUBACK", "MQTT3-3.10.4-4" },
        { "a session that is not there", "MQTT3-3.2.2-1" },
        { "DUP on what is sent first", "MQTT3-3.3.1-3" },
        { "RETAIN for everybody", "MQTT3-3.3.1-9" },
        { "another Packet Identifier in SUBACK", "MQTT3-3.8.4-2" },
    };

    // What cannot be seen at it: it takes wildcards, and the others have no probe.
    private static readonly string[] NotSeenAtTheEmbeddedBroker = ["MQTT3-3.8.3-2", "MQTT3-4.7.3-3", "MQTT3-4.8.0-2"];

    [Fact]
    [Clause("MQTT3-1.5.3-1", "MQTT3-1.5.3-2", "MQTT3-1.5.3-3", "MQTT3-2.2.2-1", "MQTT3-2.2.2-2", "MQTT3-2.3.1-1")]
    [Clause("MQTT3-2.3.1-5", "MQTT3-2.3.1-6", "MQTT3-2.3.1-7", "MQTT3-3.1.0-2", "MQTT3-3.1.2-1", "MQTT3-3.1.2-2")]
    [Clause("MQTT3-3.1.2-3", "MQTT3-3.1.2-4", "MQTT3-3.1.2-5", "MQTT3-3.1.2-6", "MQTT3-3.1.2-7", "MQTT3-3.1.2-8")]
    [Clause("MQTT3-3.1.2-9", "MQTT3-3.1.2-10", "MQTT3-3.1.2-11", "MQTT3-3.1.2-12", "MQTT3-3.1.2-14", "MQTT3-3.1.2-16")]
    [Clause("MQTT3-3.1.2-17", "MQTT3-3.1.2-22", "MQTT3-3.1.2-24", "MQTT3-3.1.3-5", "MQTT3-3.1.3-6", "MQTT3-3.1.3-8", "MQTT3-3.1.3-9")]
    [Clause("MQTT3-3.1.4-1", "MQTT3-3.1.4-2", "MQTT3-3.1.4-3", "MQTT3-3.1.4-4", "MQTT3-3.1.4-5", "MQTT3-3.2.0-1")]
    [Clause("MQTT3-3.2.2-1", "MQTT3-3.2.2-2", "MQTT3-3.2.2-3", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5", "MQTT3-3.2.2-6")]
    [Clause("MQTT3-3.3.1-1", "MQTT3-3.3.1-2", "MQTT3-3.3.1-3", "MQTT3-3.3.1-4", "MQTT3-3.3.1-5", "MQTT3-3.3.1-6")]
    [Clause("MQTT3-3.3.1-7", "MQTT3-3.3.1-8", "MQTT3-3.3.1-9", "MQTT3-3.3.1-10", "MQTT3-3.3.1-11", "MQTT3-3.3.1-12")]
    [Clause("MQTT3-3.3.2-1", "MQTT3-3.3.2-2", "MQTT3-3.3.2-3", "MQTT3-3.3.4-1", "MQTT3-3.3.5-1", "MQTT3-3.3.5-2")]
    [Clause("MQTT3-3.6.1-1", "MQTT3-3.8.1-1", "MQTT3-3.8.3-1", "MQTT3-3.8.3-3", "MQTT3-3.8.3-4", "MQTT3-3.8.4-1")]
    [Clause("MQTT3-3.8.4-2", "MQTT3-3.8.4-3", "MQTT3-3.8.4-4", "MQTT3-3.8.4-5", "MQTT3-3.8.4-6", "MQTT3-3.9.3-1")]
    [Clause("MQTT3-3.9.3-2", "MQTT3-3.10.1-1", "MQTT3-3.10.3-2", "MQTT3-3.10.4-1", "MQTT3-3.10.4-2", "MQTT3-3.10.4-3")]
    [Clause("MQTT3-3.10.4-4", "MQTT3-3.10.4-5", "MQTT3-3.10.4-6", "MQTT3-3.12.4-1", "MQTT3-3.14.1-1", "MQTT3-3.14.4-3")]
    [Clause("MQTT3-4.3.1-1", "MQTT3-4.3.2-1", "MQTT3-4.3.2-2", "MQTT3-4.3.3-1", "MQTT3-4.3.3-2", "MQTT3-4.4.0-1")]
    [Clause("MQTT3-4.5.0-1", "MQTT3-4.6.0-1", "MQTT3-4.6.0-2", "MQTT3-4.6.0-3", "MQTT3-4.6.0-4", "MQTT3-4.6.0-5")]
    [Clause("MQTT3-4.6.0-6", "MQTT3-4.7.1-1", "MQTT3-4.7.1-2", "MQTT3-4.7.1-3", "MQTT3-4.7.2-1", "MQTT3-4.7.3-1")]
    [Clause("MQTT3-4.7.3-2", "MQTT3-4.7.3-4", "MQTT3-4.8.0-1", "MQTT3-6.0.0-1", "MQTT3-6.0.0-2", "MQTT3-6.0.0-4")]
    public async Task The_embedded_broker_breaks_no_statement_of_MQTT_3_1_1()
    {
        var file = Path.GetTempFileName();

        try
        {
            var run = await CommandRun.InProcessAsync(null, "verify", "--embedded", "-V", "311", "--parallel", "16", "--seed", "11", "--patience", "30", "--json", file);
            Assert.Equal([], Failed(run));
            Assert.Contains("200 hostile frames: a client beside them was served", run.Output, StringComparison.Ordinal);
            Assert.Equal(0, run.ExitCode);
            using var results = JsonDocument.Parse(await File.ReadAllTextAsync(file, Token));
            var statements = results.RootElement.GetProperty("statements").EnumerateArray().ToArray();
            Assert.Equal(Catalogue.StatementsIn(ProtocolVersion.V311).Select(one => one.Id), statements.Select(one => one.GetProperty("id").GetString()));
            var others = statements.Where(one => one.GetProperty("verdict").GetString() != "pass").Select(one => one.GetProperty("id").GetString()!);
            Assert.Equal(NotSeenAtTheEmbeddedBroker, others.Order(StringComparer.Ordinal));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [MemberData(nameof(WrongServersOf311))]
    public async Task A_wrong_server_of_MQTT_3_1_1_fails_the_statement_that_it_breaks(string mistake, string statement)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var wrong = new WrongServer(broker.Addresses[0], packet => Mistake(mistake, packet));
        var failed = await VerifyAsync(wrong, statement, "-V", "mqttv311", "--patience", "1");
        Assert.Contains(statement, Failed(failed));
        Assert.Equal(ExitCode.Fault, failed.ExitCode);
    }

    [Fact]
    public async Task A_version_without_statements_and_random_sessions_of_another_version_are_refused()
    {
        var old = await CommandRun.InProcessAsync(null, "verify", "--embedded", "-V", "31");
        Assert.Equal(ExitCode.BadUsage, old.ExitCode);
        Assert.Contains("MQTT 3.1 has no numbered statements", old.Error, StringComparison.Ordinal);
        var sessions = await CommandRun.InProcessAsync(null, "verify", "--embedded", "-V", "311", "--random-sessions", "5");
        Assert.Equal(ExitCode.BadUsage, sessions.ExitCode);
        Assert.Contains("random sessions are of MQTT 5 only", sessions.Error, StringComparison.Ordinal);
    }
}
