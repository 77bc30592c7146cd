using System.Net.Sockets;
using FsCheck;
using FsCheck.Fluent;
using Mqtt5.Verification;

namespace Mqtt5.CSharp.Tests;

/// <summary>The kit as a C# program uses it: nothing here is of the command.</summary>
public sealed class KitTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Func<CancellationToken, Task<Stream>> To(string url) => async token =>
    {
        var client = new TcpClient { NoDelay = true };
        var server = new Uri(url);
        await client.ConnectAsync(server.Host, server.Port, token);
        return client.GetStream();
    };

    private static Task<MqttBroker> StartAsync() => MqttBroker.StartAsync(options => options.Listen(0), Token);

    [Fact]
    public async Task A_broker_in_this_process_is_verified_and_the_report_is_read()
    {
        await using var broker = await StartAsync();
        var options = new VerificationOptions { Seed = 7, Clauses = ["MQTT-3.8.4-1", "MQTT-3.3.1-5", "MQTT-6.0.0-1"] };
        var report = await BrokerVerification.RunAsync(To($"{broker.Addresses[0]}"), options, Token);
        Assert.False(report.HasFailures, $"{report}");
        Assert.Empty(report.Failures);
        Assert.Equal(options.Probes.Count, report.Probes.Count);
        Assert.Equal(Statements.Server.Value.Length, report.Clauses.Count);
        var verdicts = report.Clauses.ToDictionary(one => one.Statement.Id, one => one.Verdict);
        Assert.Equal(Verdict.Pass, verdicts["MQTT-3.8.4-1"]);
        Assert.Equal(Verdict.Pass, verdicts["MQTT-3.3.1-5"]);
        Assert.Equal(Verdict.NotApplicable, verdicts["MQTT-6.0.0-1"]);
        Assert.Equal(report.Clauses.Count, Enum.GetValues<Verdict>().Sum(report.Count));
        Assert.EndsWith("seed 7.", $"{report}", StringComparison.Ordinal);

        // Each probe says what it sent and saw.
        var probe = report.Probes.First(one => one.Probe.Clauses.Contains("MQTT-3.8.4-1"));
        Assert.Contains(probe.Exchanges, one => one.Kind == ExchangeKind.Receiving && one.Text.StartsWith("SUBACK", StringComparison.Ordinal));

        // Nothing is left behind.
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public async Task A_rule_that_a_broker_breaks_is_in_the_report_with_the_exchange_and_without_the_password()
    {
        await using var broker = await StartAsync();
        await using var wrong = new WrongServer(broker.Addresses[0], packet => packet[0] == 0xB0 ? null : packet);
        var options = new VerificationOptions
        {
            Clauses = ["MQTT-3.10.4-4"],
            Patience = TimeSpan.FromSeconds(1),
            UserName = "plant",
            Password = "s3cret-word",
        };
        var report = await BrokerVerification.RunAsync(To(wrong.Url), options, Token);
        Assert.True(report.HasFailures);
        Assert.Contains("MQTT-3.10.4-4", report.Failures.Select(one => one.Statement.Id));
        var text = $"{report}";
        Assert.Contains(" c > UNSUBSCRIBE ", text, StringComparison.Ordinal);
        Assert.Contains("  expected: UNSUBACK", text, StringComparison.Ordinal);
        Assert.Contains("password=***", text, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-word", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_verified_is_told()
    {
        var away = await Assert.ThrowsAsync<IOException>(
            () => BrokerVerification.RunAsync(To("mqtt://127.0.0.1:1"), new VerificationOptions { Clauses = ["MQTT-3.8.4-1"] }, Token));
        Assert.Contains("does not take a usual CONNECT", away.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(
            () => BrokerVerification.RunAsync(To("mqtt://127.0.0.1:1"), new VerificationOptions { Clauses = ["MQTT-9.9.9-9"] }, Token));
    }

    [Fact]
    public async Task A_run_that_is_cancelled_leaves_neither_sessions_nor_retained_messages_behind()
    {
        await using var broker = await StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var run = BrokerVerification.RunAsync(To($"{broker.Addresses[0]}"), new VerificationOptions { Clauses = ["MQTT-3.3.2-6", "MQTT-3.3.1-9"] }, stop.Token);

        while (!broker.Sessions.Any(one => !one.IsConnected))
            await Task.Delay(5, Token);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public void Generators_models_and_simulation_are_there_for_a_program_in_csharp()
    {
        Prop.ForAll(
                MqttArbitraries.BrokenPacket(),
                broken => Grammar.Parse(broken.Direction, Spec.MaximumPacketBytes, 0, broken.Frame.ToArray()).IsError)
            .QuickCheckThrowOnFailure();

        Assert.True(Simulation.RunSeed(5).IsClean);

        Observation Seen(long at, Observed what) => new(at, "a", 1, what);
        Packet Of(string text) => Notation.Parse(text).ResultValue;
        var broken = BrokerModel.Judge(
            BrokerFreedom.Default,
            [
                Seen(0, Observed.Opened),
                Seen(1, Observed.NewSent(Of("CONNECT clean=1 clientid=\"a\""))),
                Seen(2, Observed.NewReceived(Of("CONNACK"))),
                Seen(3, Observed.NewSent(Of("PUBLISH qos=1 topic=\"t\" id=1 payload=\"x\""))),
                Seen(4, Observed.NewReceived(Of("PUBACK id=2"))),
            ],
            until: 10);
        Assert.Contains(broken, one => one.Clause == "MQTT-2.2.1-5");
    }
}
