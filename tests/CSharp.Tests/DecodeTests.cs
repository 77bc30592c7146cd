using System.Text;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

public sealed class DecodeTests
{
    private const string Connect =
        "1025 0004 4D515454 05 CE 000A 05 11 0000000A 0002 6331 00 0003 772F74 0003 627965 0001 75 0001 70";

    private static Task<CommandRun> DecodeAsync(params string[] arguments) =>
        CommandRun.InProcessAsync(null, ["decode", .. arguments]);

    private static Task<CommandRun> DecodeInputAsync(byte[] input, params string[] arguments) =>
        CommandRun.InProcessAsync(input, ["decode", .. arguments]);

    [Theory]
    [InlineData("3008 0003 612F62 00 6869")]
    [InlineData("30 08 00 03 61 2F 62 00 68 69")]
    [InlineData("30:08:00:03:61:2f:62:00:68:69")]
    [InlineData("0x30,0x08,0x00,0x03,0x61,0x2F,0x62,0x00,0x68,0x69")]
    [InlineData("0x3008\t0003\r\n612F62006869")]
    public async Task Hex_is_read_in_the_forms_that_tools_print(string hex)
    {
        var run = await DecodeAsync(hex);
        Assert.Equal("PUBLISH topic=\"a/b\" payload=\"hi\"\n", run.Output);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    public async Task Arguments_are_joined_and_hold_any_number_of_packets()
    {
        var run = await DecodeAsync("C000", "D0", "00", "4002", "0001");
        Assert.Equal(["[c>s] PINGREQ", "[s>c] PINGRESP", "PUBACK id=1"], run.Lines);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    public async Task A_packet_that_one_side_only_may_send_says_so()
    {
        var run = await DecodeAsync("E001 04", "E001 8B", "E000");
        Assert.StartsWith("[c>s] DISCONNECT", run.Lines[0], StringComparison.Ordinal);
        Assert.StartsWith("[s>c] DISCONNECT", run.Lines[1], StringComparison.Ordinal);
        Assert.Equal("DISCONNECT", run.Lines[2]);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    [ShowsOption("decode", "--from")]
    public async Task With_from_the_other_direction_is_a_fault()
    {
        Assert.Equal(0, (await DecodeAsync("--from", "client", "C000")).ExitCode);
        Assert.Equal("PINGREQ\n", (await DecodeAsync("--from", "client", "C000")).Output);
        var run = await DecodeAsync("--from", "server", "C000", "D000");
        Assert.Contains("a server does not send PINGREQ", run.Output, StringComparison.Ordinal);
        Assert.Equal("PINGRESP", run.Lines[^1]);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task A_fault_is_explained_and_the_next_packet_is_decoded()
    {
        var run = await DecodeAsync("3008 0003 612B62 00 6869", "C000");
        Assert.Equal("00000000  30 08 00 03 61 2B 62 00  68 69                    0...a+b.hi", run.Lines[1]);
        Assert.Equal("                         ^^ Topic Name", run.Lines[2]);
        Assert.Contains("reason  0x82 Protocol Error", run.Lines);
        Assert.Contains("field   Topic Name", run.Lines);
        Assert.Contains("at      byte 5", run.Lines);
        Assert.Contains("clause  MQTT-3.3.2-2", run.Lines);
        Assert.Equal("[c>s] PINGREQ", run.Lines[^1]);
        Assert.Equal("", run.Error);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task A_wrong_first_byte_does_not_hide_the_next_packet()
    {
        var run = await DecodeAsync("3600", "C000");
        Assert.Contains("at      byte 0", run.Lines);
        Assert.Equal("[c>s] PINGREQ", run.Lines[^1]);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task Bytes_without_a_packet_boundary_end_the_decoding()
    {
        var run = await DecodeAsync("C000", "30FFFFFFFF01", "C000");
        Assert.Equal("[c>s] PINGREQ", run.Lines[0]);
        Assert.Contains("field   Remaining Length", run.Lines);
        Assert.Equal("the next packet cannot be found from here; the rest is not decoded", run.Lines[^1]);
        Assert.Equal(1, run.ExitCode);
    }

    [Theory]
    [InlineData("3008000361", "missing 5 bytes of 10")]
    [InlineData("30", "missing the end of the fixed header, and with it the size of the packet")]
    [InlineData("30FFFF", "missing the end of the fixed header, and with it the size of the packet")]
    public async Task A_packet_without_its_end_tells_what_is_missing(string hex, string message)
    {
        var run = await DecodeAsync("C000" + hex);
        Assert.Equal("[c>s] PINGREQ", run.Lines[0]);
        Assert.Equal(message, run.Lines[^1]);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    [ShowsOption("decode", "--show-secrets")]
    public async Task Secrets_are_hidden_unless_asked_for()
    {
        Assert.Contains("password=***", (await DecodeAsync(Connect)).Output, StringComparison.Ordinal);
        Assert.Contains("password=\"p\"", (await DecodeAsync("--show-secrets", Connect)).Output, StringComparison.Ordinal);

        // The reserved Connect Flag is set.
        var bad = Connect.Replace("05 CE", "05 CF", StringComparison.Ordinal);
        Assert.Contains("** 00 01 ** 00 01 ** ", (await DecodeAsync(bad)).Output, StringComparison.Ordinal);
        Assert.Contains("65 00 01 75 00 01 70 ", (await DecodeAsync("--show-secrets", bad)).Output, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("decode", "--max-packet-bytes")]
    public async Task A_packet_over_the_limit_is_refused_from_its_header()
    {
        var run = await DecodeAsync("--max-packet-bytes", "5", "C000", "3004 0001 61 00");
        Assert.Equal("[c>s] PINGREQ", run.Lines[0]);
        Assert.Contains("reason  0x95 Packet too large", run.Lines);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal(0, (await DecodeAsync("--max-packet-bytes", "6", "3004 0001 61 00")).ExitCode);
    }

    [Fact]
    [ShowsOption("decode", "--raw", "--hex")]
    public async Task Input_is_raw_or_hex_as_it_looks_or_as_told()
    {
        byte[] raw = [0xC0, 0x00, 0xD0, 0x00];
        var text = Encoding.ASCII.GetBytes("C0 00\nD0 00\n");
        string[] expected = ["[c>s] PINGREQ", "[s>c] PINGRESP"];

        Assert.Equal(expected, (await DecodeInputAsync(raw)).Lines);
        Assert.Equal(expected, (await DecodeInputAsync(text)).Lines);
        Assert.Equal(expected, (await DecodeInputAsync([0xEF, 0xBB, 0xBF, .. text])).Lines);
        Assert.Equal(expected, (await DecodeInputAsync(raw, "--raw")).Lines);
        Assert.Equal(expected, (await DecodeInputAsync(text, "--hex")).Lines);
        Assert.Equal(1, (await DecodeInputAsync(text, "--raw")).ExitCode);
        Assert.Equal(2, (await DecodeInputAsync(raw, "--hex")).ExitCode);
    }

    [Fact]
    [ShowsOption("decode", "--file")]
    public async Task Files_are_read_as_standard_input_is()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

        try
        {
            // Longer than any buffer, with packets across the ends of the buffers.
            var packet = Convert.FromHexString("30080003612F62006869");
            await File.WriteAllBytesAsync(path, Enumerable.Repeat(packet, 50_001).SelectMany(bytes => bytes).ToArray(), TestContext.Current.CancellationToken);
            var raw = await DecodeAsync("--file", path);
            Assert.Equal(50_001, raw.Lines.Length);
            Assert.All(raw.Lines, line => Assert.Equal("PUBLISH topic=\"a/b\" payload=\"hi\"", line));
            Assert.Equal(0, raw.ExitCode);

            await File.WriteAllTextAsync(path, string.Concat(Enumerable.Repeat("3008 0003612f62 00 6869\n", 20_001)), TestContext.Current.CancellationToken);
            var hex = await DecodeAsync("-f", path);
            Assert.Equal(20_001, hex.Lines.Length);
            Assert.Equal(0, hex.ExitCode);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task The_notation_that_is_printed_is_a_trace_that_parses()
    {
        var run = await DecodeAsync("--show-secrets", Connect, "C000", "3008 0003 612F62 00 6869", "E001 8B");
        var trace = Notation.ParseTrace(run.Output);
        Assert.True(trace.IsOk);
        Assert.Equal(4, trace.ResultValue.Length);
    }

    [Theory]
    [InlineData("311")]
    [InlineData("mqttv311")]
    public async Task Packets_of_3_1_1_are_decoded_in_their_layout(string version)
    {
        var run = await DecodeAsync(
            "-V", version, "1010 0004 4D515454 04 82 003C 0001 61 0001 75", "2002 0005", "3007 0003 612F62 6869", "4002 0001", "8206 0001 0001 61 01", "9004 0001 01 80", "B002 0007", "E000");

        Assert.Equal(
            [
                "[c>s] CONNECT ver=4 clean=1 keepalive=60 clientid=\"a\" username=\"u\"",
                "[s>c] CONNACK rc=NotAuthorized",
                "PUBLISH topic=\"a/b\" payload=\"hi\"",
                "PUBACK id=1",
                "[c>s] SUBSCRIBE id=1 filters[\"a\" qos=1]",
                "[s>c] SUBACK id=1 codes[GrantedQoS1, UnspecifiedError]",
                "[s>c] UNSUBACK id=7 codes[]",
                "[c>s] DISCONNECT",
            ],
            run.Lines);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    public async Task A_connect_tells_the_version_of_what_follows()
    {
        // MQTT 3.1 from a bridge, then 3.1.1, then 5, with a PUBLISH in the layout of each.
        var run = await DecodeAsync(
            "100F 0006 4D5149736470 83 02 003C 0001 61", "3003 0001 61", "100D 0004 4D515454 04 02 003C 0001 61", "3003 0001 61", "100E 0004 4D515454 05 02 003C 00 0001 61", "3004 0001 61 00");

        Assert.Equal(
            [
                "[c>s] CONNECT ver=3 clean=1 keepalive=60 clientid=\"a\" # from a bridge",
                "PUBLISH topic=\"a\"",
                "[c>s] CONNECT ver=4 clean=1 keepalive=60 clientid=\"a\"",
                "PUBLISH topic=\"a\"",
                "[c>s] CONNECT clean=1 keepalive=60 clientid=\"a\"",
                "PUBLISH topic=\"a\"",
            ],
            run.Lines);
        Assert.Equal(0, run.ExitCode);
        Assert.True(Notation.ParseTrace(run.Output).IsOk);
    }

    [Fact]
    [ShowsOption("decode", "--protocol-version")]
    public async Task A_fault_names_the_statement_of_its_version_and_hides_the_password()
    {
        var run = await DecodeAsync("-V", "311", "1013 0004 4D515454 04 C3 003C 0001 61 0001 75 0001 70");
        Assert.Equal("CONNECT of MQTT 3.1.1: 21 bytes from byte 0", run.Lines[0]);
        Assert.Contains("clause  MQTT3-3.1.2-3", run.Lines);
        Assert.Contains("01 ** 00 01 **", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Property Length", run.Output, StringComparison.Ordinal);
        Assert.Equal(1, run.ExitCode);

        // The same bytes are not a CONNECT of another version, and a packet of version 5 is not valid in 3.1.1.
        Assert.Contains("reason  0x84 Unsupported Protocol Version", (await DecodeAsync("-V", "5", "100D 0004 4D515454 04 02 003C 0001 61")).Lines);
        Assert.Contains("clause  2.2.3", (await DecodeAsync("-V", "311", "4004 0001 00 00")).Lines);
        Assert.Equal(2, (await DecodeAsync("-V", "4", "C000")).ExitCode);
    }
}
