namespace Mqtt5.CliTests;

// Standard input, output and error that are empty, closed, full or binary.
public sealed class StandardStreamTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [InlineData("$mqtt5 decode C000 >&-", 0, "", "")]
    [InlineData("$mqtt5 decode C000 2>&-", 0, "[c>s] PINGREQ\n", "")]
    [InlineData("$mqtt5 decode <&-", 2, "", "standard input is closed")]
    [InlineData("$mqtt5 decode XX 2>&-", 2, "", "")]
    [InlineData("$mqtt5 decode XX 2>/dev/full", 2, "", "")]
    [InlineData("$mqtt5 decode C000 <&- >&- 2>&-", 0, "", "")]
    [InlineData("$mqtt5 pub -p $port -t a -l <&-", 1, "", "standard input is closed")]
    [InlineData("$mqtt5 pub -p $port -t a -s <&-", 1, "", "standard input is closed")]
    [InlineData("$mqtt5 pub -p $port -t a -m b <&- >&- 2>&-", 0, "", "")]
    [InlineData("$mqtt5 sub -p $port -t streams -C 1 >&-", 0, "", "")]
    [InlineData("$mqtt5 sub -p $port -t streams -C 1 <&-", 0, "text\n", "")]
    [InlineData("$mqtt5 passwd $folder/p anna <&-", 2, "", "standard input is closed")]
    public async Task A_closed_stream_is_no_defect(string line, int exitCode, string output, string error)
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await client.PublishAsync("streams", "text", QoS.AtLeastOnce, retain: true);
        var run = await Script.RunAsync(line, fixture.Port, fixture.FilePath(""));
        Assert.Equal(output, run.Output);
        Assert.Contains(error, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        Assert.Equal(exitCode, run.ExitCode);
    }

    [Theory]
    [InlineData("$mqtt5 decode C000 >/dev/full")]
    [InlineData("$mqtt5 completions bash >/dev/full")]
    [InlineData("$mqtt5 --help >/dev/full")]
    [InlineData("$mqtt5 pub --help >/dev/full")]
    [InlineData("$mqtt5 sub -p $port -t full -C 1 >/dev/full")]
    [InlineData("$mqtt5 broker --port 0 >/dev/full")]
    public async Task A_full_disk_is_told_and_is_no_defect(string line)
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "there is no /dev/full");
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await client.PublishAsync("full", "text", QoS.AtLeastOnce, retain: true);
        var run = await Script.RunAsync(line, fixture.Port);
        Assert.Equal("mqtt5: standard output: No space left on device\n", run.Error);
        Assert.InRange(run.ExitCode, 1, 2);
    }

    [Theory]
    [InlineData("$mqtt5 completions bash | head -1")]
    [InlineData("$mqtt5 pub --help | head -1")]
    [InlineData("$mqtt5 sub -p $port -t 'head/#' | head -1")]
    [InlineData("$mqtt5 decode C000 D000 | true")]
    public async Task A_reader_that_has_seen_enough_is_no_failure(string line)
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));

        for (var number = 0; number < 20; number++)
            await client.PublishAsync($"head/{number}", new string('x', 10_000), QoS.AtLeastOnce, retain: true);

        using var ending = new CancellationTokenSource();
        var more = PublishAsync(client, ending.Token);
        var run = await Script.RunAsync(line + "; echo ${PIPESTATUS[0]} >&2", fixture.Port);
        await ending.CancelAsync();
        await more;
        Assert.Equal("0\n", run.Error);
    }

    [Fact]
    public async Task Empty_standard_input_does_not_delete_what_is_retained()
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));

        foreach (var verb in (string[])["pub", "rr"])
        {
            await client.PublishAsync("kept", "value", QoS.AtLeastOnce, retain: true);
            var run = await fixture.RunWithAsync([], verb, "-t", "kept", "-r", "-s");
            Assert.Equal(1, run.ExitCode);
            Assert.Contains("standard input is empty; -n", run.Error, StringComparison.Ordinal);
            Assert.Equal("value\n", (await fixture.RunAsync("sub", "-t", "kept", "-C", "1")).Output);
        }

        Assert.Equal(0, (await fixture.RunWithAsync([], "pub", "-t", "kept", "-r", "-l")).ExitCode);
        Assert.Equal("value\n", (await fixture.RunAsync("sub", "-t", "kept", "-C", "1")).Output);
        Assert.Equal(0, (await fixture.RunWithAsync([], "pub", "-t", "kept", "-r", "-n")).ExitCode);
        Assert.Equal(27, (await fixture.RunAsync("sub", "-t", "kept", "-W", "1")).ExitCode);
    }

    [Fact]
    public async Task Binary_standard_input_stays_as_it_is()
    {
        byte[] input = [0, 0xFF, (byte)'\r', (byte)'a', 0, 0xFE];
        Assert.Equal(0, (await fixture.RunWithAsync(input, "pub", "-t", "binary", "-r", "-s")).ExitCode);
        Assert.Equal(input, (await fixture.RunAsync("sub", "-t", "binary", "-C", "1", "-N")).Bytes);
        Assert.Equal(0, (await fixture.RunWithAsync(input, "pub", "-t", "binary/line", "-r", "-l")).ExitCode);
        Assert.Equal(input, (await fixture.RunAsync("sub", "-t", "binary/line", "-C", "1", "-N")).Bytes);
    }

    [Theory]
    [InlineData("pub", "-t", "a", "-f", "/dev/zero")]
    [InlineData("rr", "-t", "a", "-f", "/dev/zero")]
    public async Task A_payload_without_end_is_refused(params string[] arguments)
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        var run = await fixture.RunAsync(arguments);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("/dev/zero: this is more than the 268435460 bytes", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_without_end_is_refused()
    {
        await using var zeros = new FileStream("/dev/zero", FileMode.Open, FileAccess.Read);
        var failure = await Assert.ThrowsAsync<Mqtt5.Cli.UsageException>(async () =>
        {
            await foreach (var _ in Mqtt5.Cli.InputLines.ReadAsync(zeros, TestContext.Current.CancellationToken))
            {
            }
        });
        Assert.Contains("a line of standard input", failure.Message, StringComparison.Ordinal);
    }

    private static async Task PublishAsync(MqttClient client, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            await client.PublishAsync("head/more", "x", cancellationToken: CancellationToken.None);
            await Task.Delay(50, CancellationToken.None);
        }
    }
}
