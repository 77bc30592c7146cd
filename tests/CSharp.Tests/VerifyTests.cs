using System.Text.RegularExpressions;

namespace Mqtt5.CSharp.Tests;

public sealed partial class VerifyTests
{
    // What a server does wrong, and a statement that it breaks.
    public static TheoryData<string, string> WrongServers => new()
    {
        { "no PINGRESP", "MQTT-3.12.4-1" },
        { "no UNSUBACK", "MQTT-3.10.4-4" },
        { "a session that is not there", "MQTT-3.2.2-2" },
        { "DUP on what is sent first", "MQTT-3.3.1-3" },
        { "RETAIN for everybody", "MQTT-3.3.1-12" },
        { "another Packet Identifier in SUBACK", "MQTT-3.8.4-2" },
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_embedded_broker_breaks_no_statement()
    {
        var run = await CommandRun.InProcessAsync(null, "verify", "--embedded", "--parallel", "16");
        Assert.Equal([], Failed(run));
        Assert.Contains(" 0 fail, ", run.Output, StringComparison.Ordinal);
        Assert.Contains(" 0 were not run", run.Output, StringComparison.Ordinal);
        Assert.Equal(0, run.ExitCode);
    }

    [Theory]
    [MemberData(nameof(WrongServers))]
    public async Task A_wrong_server_fails_the_statement_that_it_breaks(string mistake, string statement)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var right = new WrongServer(broker.Addresses[0], packet => packet);
        var passed = await VerifyAsync(right, statement);
        Assert.Equal([], Failed(passed));
        Assert.Equal(0, passed.ExitCode);

        await using var wrong = new WrongServer(broker.Addresses[0], packet => Mistake(mistake, packet));
        var failed = await VerifyAsync(wrong, statement);
        Assert.Contains(statement, Failed(failed));
        Assert.Equal(1, failed.ExitCode);
    }

    private static Task<CommandRun> VerifyAsync(WrongServer server, string statement) =>
        CommandRun.InProcessAsync(null, "verify", server.Url, "--clause", statement, "--hostile", "0");

    private static byte[]? Mistake(string name, byte[] packet)
    {
        var type = packet[0] >> 4;

        switch (name)
        {
            case "no PINGRESP":
                return type == (int)PacketType.Pingresp ? null : packet;
            case "no UNSUBACK":
                return type == (int)PacketType.Unsuback ? null : packet;
            case "a session that is not there" when type == (int)PacketType.Connack && packet[3] == 0:
                packet[2] |= 1;
                return packet;
            case "DUP on what is sent first" when type == (int)PacketType.Publish && (packet[0] & 6) != 0:
                packet[0] |= 8;
                return packet;
            case "RETAIN for everybody" when type == (int)PacketType.Publish:
                packet[0] |= 1;
                return packet;
            case "another Packet Identifier in SUBACK" when type == (int)PacketType.Suback:
                packet[2] ^= 0x40;
                return packet;
            default:
                return packet;
        }
    }

    private static string[] Failed(CommandRun run) =>
        [.. FailedLine().Matches(run.Output).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^\s*✗\s+(\S+)", RegexOptions.Multiline)]
    private static partial Regex FailedLine();
}
