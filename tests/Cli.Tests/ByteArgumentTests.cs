using System.Text;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Arguments that are not UTF-8: payloads preserve their bytes, and MQTT strings refuse them.
public sealed class ByteArgumentTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [InlineData(@"-m $'a\xff\xfeb'", "61-FF-FE-62")]
    [InlineData(@"-m $'\xc3\xa4\xf0\x9f\x98\x80'", "C3-A4-F0-9F-98-80")]
    [InlineData(@"-m $'\xed\xa0\x80'", "ED-A0-80")]
    [InlineData(@"-m $'\xef\xbf\xbd\xff'", "EF-BF-BD-FF")]
    [InlineData(@"-m $'\xf0\x9f'", "F0-9F")]
    [InlineData(@"-m x -D publish correlation-data $'a\xff'", "61-FF", "%D")]
    [InlineData(@"-m x --will-topic w --will-payload $'a\xff'", "78")]
    public async Task A_payload_goes_byte_by_byte(string given, string expected, string format = "%p")
    {
        var run = await Script.RunAsync($"$mqtt5 pub -p $port -t bytes -r {given} && $mqtt5 sub -p $port -t bytes -C 1 -N -F '{format}'", fixture.Port);
        Assert.Equal("", run.Error);
        Assert.Equal(expected, BitConverter.ToString(run.Bytes));
    }

    [Fact]
    public async Task A_Will_Message_a_password_and_a_format_go_byte_by_byte()
    {
        var will = await Script.RunAsync(
            """
            $mqtt5 sub -p $port -t nothing -W 2 --will-topic will/bytes --will-payload $'a\xff' --will-retain
            $mqtt5 sub -p $port -t will/bytes -C 1 -N
            """,
            fixture.Port);
        Assert.Equal("61-FF", BitConverter.ToString(will.Bytes));
        byte[] password = [];
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Authenticator = new Noting(given => password = given);
            options.Listen(0);
        });
        await Script.RunAsync(@"$mqtt5 pub -p $port -t a -m b -u anna -P $'a\xff'", $"{broker.Addresses[0].Port}");
        Assert.Equal("61-FF", BitConverter.ToString(password));
        var format = await Script.RunAsync(@"$mqtt5 pub -p $port -t f -m x -r && $mqtt5 sub -p $port -t f -C 1 -N -F $'a\xff%p'", fixture.Port);
        Assert.Equal("61-FF-78", BitConverter.ToString(format.Bytes));
    }

    [Theory]
    [InlineData("pub -m x -t", "--topic")]
    [InlineData("sub -W 1 -t", "--topic")]
    [InlineData("sub -W 1 -t a -T", "--filter-out")]
    [InlineData("sub -W 1 -U", "--unsubscribe")]
    [InlineData("rr -m x -t a -e", "--response-topic")]
    [InlineData("pub -t a -m x -u", "--username")]
    [InlineData("pub -t a -m x -i", "--id")]
    [InlineData("pub -t a -m x -I", "--id-prefix")]
    [InlineData("pub -t a -m x --will-topic", "--will-topic")]
    [InlineData("pub -t a -m x -D publish content-type", "content-type")]
    [InlineData("pub -t a -m x -D publish response-topic", "response-topic")]
    [InlineData("pub -t a -m x -D publish user-property a", "user-property")]
    [InlineData("pub -t a -f", "--file")]
    public async Task What_is_text_for_MQTT_is_refused(string arguments, string option)
    {
        var run = await Script.RunAsync($@"$mqtt5 {arguments} $'a\xff' -p $port", fixture.Port);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("UTF-8", run.Error, StringComparison.Ordinal);
        Assert.Contains(option, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_survive_as_a_string()
    {
        var random = new Random(7);

        for (var run = 0; run < 2_000; run++)
        {
            var bytes = new byte[random.Next(12)];
            random.NextBytes(bytes);
            var text = ByteText.FromBytes(bytes);
            Assert.Equal(bytes, ByteText.ToBytes(text));
            Assert.Equal(IsUtf8(bytes), ByteText.IsText(text));
        }
    }

    [Theory]
    [InlineData("mqtt5\0pub\0-m\0a\0", "mqtt5", "pub", "-m", "a")]
    [InlineData("/usr/bin/dotnet\0/opt/mqtt5.dll\0pub\0", "mqtt5.dll", "pub")]
    [InlineData("/home/me/mosquitto_pub\0", "mosquitto_pub")]
    public void The_name_and_the_arguments_are_those_of_the_command_line(string commandLine, string name, params string[] arguments)
    {
        var read = ProcessArguments.Of(arguments, Encoding.UTF8.GetBytes(commandLine));
        Assert.Equal(name, read.Name);
        Assert.Equal(arguments, read.Arguments);
    }

    [Fact]
    public void A_command_line_of_something_else_is_not_believed()
    {
        var read = ProcessArguments.Of(["pub", "-m", "b"], "mqtt5\0pub\0-m\0a\0"u8);
        Assert.Null(read.Name);
        Assert.Equal(["pub", "-m", "b"], read.Arguments);
    }

    private static bool IsUtf8(byte[] bytes)
    {
        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }

    private sealed class Noting(Action<byte[]> note) : IMqttBrokerAuthenticator
    {
        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
        {
            note(context.Password!.Value.ToArray());
            return ValueTask.FromResult(MqttAuthenticationResult.Accepted);
        }
    }
}
