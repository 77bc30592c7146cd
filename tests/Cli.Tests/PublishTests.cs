using System.Text;

namespace Mqtt5.CliTests;

// mqtt5 pub as a process.
public sealed class PublishTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [InlineData("0", "--host", "127.0.0.1")]
    [InlineData("1", "-h", "localhost")]
    [InlineData("2", "-V", "mqttv5")]
    public async Task A_message_arrives_at_every_QoS(string qos, string option, string value)
    {
        var topic = $"qos/{qos}";
        await using var received = await SubscribeAsync(topic);
        var run = await fixture.RunAsync("pub", "-t", topic, "-m", "käse \u20ac", "-q", qos, option, value);
        Assert.Equal(new CommandOutcome(0, [], ""), run with { Bytes = [] });
        Assert.Empty(run.Bytes);
        var message = await NextAsync(received);
        Assert.Equal("käse \u20ac", message.Text);
        Assert.Equal(qos, $"{(int)message.QoS}");
    }

    [Theory]
    [InlineData("mqtts")]
    [InlineData("mqtts-any-name")]
    [InlineData("ws")]
    [InlineData("unix")]
    public async Task Every_transport_is_spoken(string transport)
    {
        await using var received = await SubscribeAsync($"by/{transport}");
        string[] how = transport switch
        {
            "mqtts" => ["-p", fixture.TlsPort, "--cafile", fixture.AuthorityFile, "--tls-version", "tlsv1.3"],
            "mqtts-any-name" => ["-h", "127.0.0.1", "-p", fixture.TlsPort, "--cafile", fixture.AuthorityFile, "--insecure"],
            "ws" => ["-L", $"ws://127.0.0.1:{fixture.WebSocketPort}/by/ws"],
            _ => ["--unix", fixture.Socket],
        };
        var topic = transport == "ws" ? Array.Empty<string>() : ["-t", $"by/{transport}"];
        var run = await CommandProcess.RunAsync(null, ["pub", "-m", transport, .. topic, .. how]);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(transport, (await NextAsync(received)).Text);
    }

    [Fact]
    public async Task A_certificate_that_cannot_be_trusted_ends_with_1()
    {
        var unknown = await CommandProcess.RunAsync(null, "pub", "-t", "a", "-m", "b", "-p", fixture.TlsPort, "--tls-use-os-certs");
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains("certificate", unknown.Error, StringComparison.OrdinalIgnoreCase);
        var name = await CommandProcess.RunAsync(null, "pub", "-t", "a", "-m", "b", "-h", "127.0.0.2", "-p", fixture.TlsPort, "--cafile", fixture.FilePath("none.pem"));
        Assert.Equal(1, name.ExitCode);
        Assert.StartsWith("mqtt5: --cafile: ", name.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_1_MiB_arrives_byte_for_byte()
    {
        var payload = new byte[1024 * 1024];
        new Random(5).NextBytes(payload);
        var file = fixture.FilePath("large.bin");
        await File.WriteAllBytesAsync(file, payload);
        Assert.Equal(0, (await fixture.RunAsync("pub", "-t", "large", "-f", file, "-r", "-q", "1")).ExitCode);
        var run = await fixture.RunAsync("sub", "-t", "large", "-C", "1", "-N");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(payload, run.Bytes);
        var input = await fixture.RunWithAsync(payload, "pub", "-t", "large/input", "-s", "-r", "-q", "2");
        Assert.Equal(0, input.ExitCode);
        Assert.Equal(payload, (await fixture.RunAsync("sub", "-t", "large/input", "-C", "1", "-N")).Bytes);
    }

    [Fact]
    public async Task A_message_that_the_server_does_not_take_ends_with_its_reason_code()
    {
        var file = fixture.FilePath("larger.bin");
        await File.WriteAllBytesAsync(file, new byte[5 * 1024 * 1024]);
        Assert.Equal((int)ReasonCode.PacketTooLarge, (await fixture.RunAsync("pub", "-t", "larger", "-f", file, "-q", "1")).ExitCode);
        var forbidden = await fixture.RunAsync("pub", "-t", "forbidden/1", "-m", "x", "-q", "1");
        Assert.Equal((int)ReasonCode.NotAuthorized, forbidden.ExitCode);
        Assert.Contains("Not authorized", forbidden.Error, StringComparison.Ordinal);
        var quiet = await fixture.RunAsync("pub", "-t", "forbidden/1", "-m", "x", "-q", "1", "--quiet");
        Assert.Equal(new CommandOutcome((int)ReasonCode.NotAuthorized, quiet.Bytes, ""), quiet);
    }

    [Fact]
    public async Task Lines_are_messages_in_their_order_and_keep_what_is_not_a_line_feed()
    {
        await using var received = await SubscribeAsync("lines");
        string[] lines = ["first", "", "with\r", "\u20ac", new string('x', 200_000), .. Enumerable.Range(0, 300).Select(number => $"{number}"), "last"];
        var run = await fixture.RunWithAsync(Encoding.UTF8.GetBytes(string.Join('\n', lines)), "pub", "-t", "lines", "-l", "-q", "1", "-M", "5");
        Assert.Equal(0, run.ExitCode);

        foreach (var line in lines)
            Assert.Equal(line, (await NextAsync(received)).Text);
    }

    [Fact]
    public async Task Lines_outlive_the_connection()
    {
        var broker = await BrokerFixture.StartAsync(options => options.Listen(0));
        var port = broker.Addresses[0].Port;
        using var process = CommandProcess.Start("pub", "-t", "again", "-l", "-q", "1", "-p", $"{port}", "-d");

        // Its acknowledgement goes out before the broker ends.
        await using (var first = await Receiver.OpenAsync(broker.Addresses[0], "again"))
        {
            await process.Process.StandardInput.WriteLineAsync("before");
            await process.Process.StandardInput.FlushAsync();
            Assert.Equal("before", (await NextAsync(first)).Text);
        }

        await broker.DisposeAsync();
        await using var second = await BrokerFixture.StartAtAsync(port);
        var options = MqttClientOptions.For(second.Addresses[0]);
        await using var client = await MqttClient.ConnectAsync(options);
        await using var received = await client.SubscribeAsync("again");
        await process.Process.StandardInput.WriteLineAsync("after");
        var run = await process.FinishAsync();
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("trying again", run.Error, StringComparison.Ordinal);
        Assert.Equal("after", (await NextAsync(received)).Text);
    }

    [Fact]
    public async Task Values_that_look_like_options_are_values_and_the_last_of_two_counts()
    {
        await using var received = await SubscribeAsync("verbatim");
        var run = await fixture.RunAsync("pub", "-t", "nowhere", "-m", "-t", "-t", "verbatim", "-D", "publish", "user-property", "-q", "-h", "-i", "--help");
        Assert.Equal(0, run.ExitCode);
        var message = await NextAsync(received);
        Assert.Equal("-t", message.Text);
        var property = Assert.Single(message.UserProperties);
        Assert.Equal("-q=-h", $"{property.Name.Text}={property.Value.Text}");
        Assert.Equal(0, (await fixture.RunAsync("pub", "-m", "", "-t", "verbatim")).ExitCode);
        Assert.Equal("", (await NextAsync(received)).Text);
    }

    [Fact]
    public async Task Packets_are_shown_without_the_password()
    {
        var run = await fixture.RunAsync("pub", "-t", "shown", "-m", "hi", "-d", "-u", "anna", "-P", "s3cret", "-q", "1", "-D", "connect", "user-property", "k", "v");
        Assert.Equal(0, run.ExitCode);
        Assert.Empty(run.Bytes);
        Assert.DoesNotContain("s3cret", run.Error, StringComparison.Ordinal);
        string[] starts = ["[c>s] CONNECT", "[s>c] CONNACK", "[c>s] PUBLISH", "[s>c] PUBACK", "[c>s] DISCONNECT"];
        Assert.All(run.Error.TrimEnd().Split('\n').Zip(starts), pair => Assert.StartsWith(pair.Second, pair.First, StringComparison.Ordinal));
        Assert.Equal(starts.Length, run.Error.TrimEnd().Split('\n').Length);
    }

    [Fact]
    public async Task What_was_not_given_is_not_sent()
    {
        await using var received = await SubscribeAsync("bare");
        var run = await fixture.RunAsync("pub", "-t", "bare", "-m", "x", "-d", "-u", "anna");
        Assert.Equal((int)ReasonCode.BadUserNameOrPassword, run.ExitCode);
        Assert.Contains("username=", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("password=", run.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await fixture.RunAsync("pub", "-t", "bare", "-m", "x")).ExitCode);
        var message = await NextAsync(received);
        Assert.Null(message.CorrelationData);
        Assert.Null(message.ResponseTopic);
    }

    [Fact]
    public async Task An_interrupted_publisher_disconnects()
    {
        await using var received = await SubscribeAsync("endless");
        using var process = CommandProcess.Start("pub", "-t", "endless", "-l", "-d", "-p", fixture.Port);
        await process.Process.StandardInput.WriteLineAsync("one");
        await process.Process.StandardInput.FlushAsync();
        Assert.Equal("one", (await NextAsync(received)).Text);
        await process.SignalAsync("INT");
        await process.Process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(130, process.Process.ExitCode);
        Assert.EndsWith("[c>s] DISCONNECT\n", await process.ErrorAsync(), StringComparison.Ordinal);
    }

    private async Task<Receiver> SubscribeAsync(string topic) => await Receiver.OpenAsync(fixture.Broker.Addresses[0], topic);

    private static Task<MqttReceivedMessage> NextAsync(Receiver receiver) => receiver.NextAsync();

    private static Task<MqttReceivedMessage> NextAsync(MqttSubscription subscription) => Receiver.NextAsync(subscription);
}
