using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;
using Mqtt5.Signing;

namespace Mqtt5.BrokerTests;

// The cost of password hashing: fairness between clients, and timing side channels.
[Collection("alone")]
public sealed class PasswordTests
{
    [Fact]
    public async Task Clients_that_leave_at_once_keep_nobody_out()
    {
        var file = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "secret"u8));
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = file);
        using var stop = new CancellationTokenSource();

        // Forty a second, from the same address as the healthy client.
        var attack = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var client = await RawClient.OpenAsync(broker);
                await client.SendAsync("CONNECT clean=1 clientid=\"x\" username=\"anna\" password=\"guess\"");
                await client.DisposeAsync();
                await Task.Delay(25);
            }
        });
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.InRange(file.Waiting, 0, 20);

        var watch = Stopwatch.StartNew();
        await using (var first = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"secret\"", "CONNACK rc=Success"))
            await first.ExpectNothingAsync();

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        await stop.CancelAsync();
        await attack.Bounded();
        await Waits.UntilAsync(() => file.Waiting == 0);
    }

    [Fact]
    public async Task Nothing_that_an_authenticator_was_told_is_kept_once_the_client_is_accepted()
    {
        var authenticator = new Remembering();
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = authenticator);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" username=\"anna\" password=\"secret\"");
        await Waits.UntilAsync(() =>
        {
            GC.Collect();
            return !authenticator.Context!.IsAlive;
        });
        await client.SendAsync("PINGREQ");
        await client.ExpectAsync("PINGRESP");
    }

    [Fact]
    public async Task A_password_that_was_right_lately_needs_no_hash()
    {
        var time = new FakeTimeProvider();
        var file = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "secret"u8), time);
        await AssertAsync(file, "anna", "secret", ReasonCode.Success);
        var watch = Stopwatch.StartNew();

        for (var again = 0; again < 200; again++)
            await AssertAsync(file, "anna", "secret", ReasonCode.Success);

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        await AssertAsync(file, "anna", "Secret", ReasonCode.BadUserNameOrPassword);
        await AssertAsync(file, "otto", "secret", ReasonCode.BadUserNameOrPassword);

        // It is hashed again after the entry has expired.
        var recent = new RecentPasswords(time);
        recent.Add("anna", "secret"u8);
        Assert.True(recent.Contains("anna", "secret"u8));
        Assert.False(recent.Contains("ann", "asecret"u8));
        time.Advance(RecentPasswords.Validity + TimeSpan.FromSeconds(1));
        Assert.False(recent.Contains("anna", "secret"u8));
    }

    [Fact]
    public async Task Addresses_take_turns_and_what_is_cancelled_leaves_the_queue()
    {
        var queue = new HashQueue(1);
        using var hold = new ManualResetEventSlim();
        var order = new List<string>();
        var running = queue.RunAsync("first", () => hold.Wait(TimeSpan.FromSeconds(30)), default).AsTask();
        await Waits.UntilAsync(() => queue.Waiting == 0);

        Task<int?> Add(string address, CancellationToken cancelled = default) =>
            queue.RunAsync(address, () =>
            {
                order.Add(address);
                return order.Count;
            }, cancelled).AsTask();

        using var gone = new CancellationTokenSource();
        var crowd = Enumerable.Range(0, 5).Select(_ => Add("crowd")).ToList();
        var cancelled = Enumerable.Range(0, 50).Select(_ => Add("crowd", gone.Token)).ToList();
        var single = Add("single");
        Assert.Equal(56, queue.Waiting);
        await gone.CancelAsync();
        Assert.Equal(6, queue.Waiting);
        Assert.All(cancelled, task => Assert.True(task.IsCanceled || !task.IsCompletedSuccessfully));
        hold.Set();
        await running.Bounded();
        await Task.WhenAll([.. crowd, single]).Bounded();
        Assert.Equal(["crowd", "single", "crowd", "crowd", "crowd", "crowd"], order);
    }

    [Fact]
    public async Task An_address_that_has_too_many_waiting_is_refused_and_others_are_not()
    {
        var queue = new HashQueue(1);
        using var hold = new ManualResetEventSlim();
        var running = queue.RunAsync("first", () => hold.Wait(TimeSpan.FromSeconds(30)), default).AsTask();
        var waiting = Enumerable.Range(0, HashQueue.MaximumPerAddress).Select(_ => queue.RunAsync("crowd", () => 1, default).AsTask()).ToList();
        Assert.Null(await queue.RunAsync("crowd", () => 1, default).Bounded());
        var other = queue.RunAsync("other", () => 1, default).AsTask();
        hold.Set();
        await running.Bounded();
        Assert.Equal(1, await other.Bounded());
        await Task.WhenAll(waiting).Bounded();
        Assert.Equal(0, queue.Waiting);
    }

    [Theory]
    [InlineData("192.0.2.1:5000", "192.0.2.1")]
    [InlineData("[::ffff:192.0.2.1]:5000", "192.0.2.1")]
    [InlineData("[2001:db8:1:2:3:4:5:6]:1", "20010DB800010002")]
    [InlineData("[2001:db8:1:2::9]:2", "20010DB800010002")]
    [InlineData(null, "")]
    [InlineData("unix", "")]
    public void An_address_is_without_its_port_and_a_network_for_IPv6(string? endPoint, string address) =>
        Assert.Equal(address, HashQueue.AddressOf(endPoint));

    // A file with cheap and expensive hashes: an unknown name must not be recognizable by a constant cost.
    [Fact]
    public void A_name_cannot_be_found_by_time_where_a_file_mixes_kinds_of_hashes()
    {
        var cheap = MqttPasswordFile.Line("cheap", MqttScramCredentials.Derive("x"u8, 4_096));
        var usual = MqttPasswordFile.Line("usual", "x"u8);
        var file = MqttPasswordFile.Parse(cheap + "\n" + usual + "\n");
        Assert.Equal(4_096, file.IterationsOf("cheap"));
        Assert.Equal(210_000, file.IterationsOf("usual"));
        var names = Enumerable.Range(0, 1_000).Select(number => $"unknown-{number}").ToArray();
        var costs = names.Select(file.IterationsOf).ToArray();

        // Half of them each; the probability of fewer than 400 is below one in a billion.
        Assert.InRange(costs.Count(cost => cost == 4_096), 400, 600);
        Assert.InRange(costs.Count(cost => cost == 210_000), 400, 600);

        // Stable per name, like a real entry, also when the file is loaded again.
        Assert.Equal(costs, names.Select(file.IterationsOf));
        Assert.Equal(costs, names.Select(MqttPasswordFile.Parse(cheap + "\n" + usual).IterationsOf));
        Assert.Equal(210_000, MqttPasswordFile.Parse("").IterationsOf("anybody"));
    }

    [Fact]
    public async Task A_name_cannot_be_found_by_the_iterations_that_SCRAM_tells()
    {
        var file = MqttPasswordFile.Parse(string.Join('\n', Enumerable.Range(0, 10).Select(number =>
            MqttPasswordFile.Line($"n{number}", MqttScramCredentials.Derive("x"u8, number < 5 ? 4_096 : 5_000)))));
        var told = new List<string>();

        for (var name = 0; name < 40; name++)
            told.Add(await IterationsAsync(file, $"unknown-{name}"));

        Assert.Equal(["4096", "5000"], told.Distinct().Order());
        Assert.Equal(await IterationsAsync(file, "unknown-7"), told[7]);
    }

    private static async Task<string> IterationsAsync(MqttPasswordFile file, string name)
    {
        var connect = (Packet.Connect)Notation.Parse(
            $"CONNECT clean=1 clientid=\"c\" props{{AuthenticationMethod=\"SCRAM-SHA-256\", AuthenticationData=\"n,,n={name},r=abc\"}}").ResultValue;
        var context = new MqttAuthenticationContext(connect.Connect, null, null, false);
        var result = await file.AuthenticateAsync(context, default);
        return System.Text.Encoding.UTF8.GetString(result.Data!.Value.Span).Split(",i=")[1];
    }

    private static async Task AssertAsync(MqttPasswordFile file, string name, string password, ReasonCode reason)
    {
        var connect = (Packet.Connect)Notation.Parse($"CONNECT clean=1 clientid=\"c\" username=\"{name}\" password=\"{password}\"").ResultValue;
        var result = await file.AuthenticateAsync(new MqttAuthenticationContext(connect.Connect, "127.0.0.1:1", null, false), default);
        Assert.Equal(reason, result.Reason);
    }

    // Accepts all, and keeps nothing itself.
    private sealed class Remembering : IMqttBrokerAuthenticator
    {
        public WeakReference? Context { get; private set; }

        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
        {
            Context = new WeakReference(context);
            return new(MqttAuthenticationResult.Accepted);
        }
    }
}
