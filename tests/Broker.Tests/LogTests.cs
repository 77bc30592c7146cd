using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Security;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.BrokerTests;

// A logger that fails, blocks or is flooded, and log forging by peers.
public sealed class LogTests
{
    [Fact]
    public async Task A_log_that_throws_once_does_not_end_the_accepting_of_connections()
    {
        using var chains = new CertificateChains();

        // Whichever entry fails, of Kestrel or of the broker.
        for (var failing = 0; failing < 12; failing++)
        {
            using var log = new Recorder(entry => entry == failing ? throw new IOException("the disk is full") : 0);
            await using var broker = await Brokers.StartAsync(options =>
            {
                options.LoggerFactory = log;
                options.ListenTls(0, new MqttServerTlsOptions { Certificate = chains.Server });
            });

            for (var client = 0; client < 3; client++)
            {
                await using var plain = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
                var options = Brokers.For(broker, "mqtts");
                options.Tls.ValidateServerCertificate = (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable);
                await using var secure = await MqttClient.ConnectAsync(options).Bounded();
            }
        }
    }

    [Fact]
    public async Task A_log_that_hangs_holds_up_neither_clients_nor_the_shutdown()
    {
        using var release = new ManualResetEventSlim();
        using var log = new Recorder(_ =>
        {
            release.Wait(TimeSpan.FromMinutes(2));
            return 0;
        });

        try
        {
            var broker = await Brokers.StartAsync(options => options.LoggerFactory = log).Bounded();

            for (var client = 0; client < 30; client++)
            {
                await using var connected = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"c{client}\"").Bounded();
                await connected.ExpectNothingAsync();
            }

            var watch = Stopwatch.StartNew();
            await broker.DisposeAsync().AsTask().Bounded();
            Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        }
        finally
        {
            release.Set();
        }
    }

    [Fact]
    public async Task Entries_beyond_the_queue_are_dropped_counted_and_told()
    {
        const int Logged = 10_000;
        using var release = new ManualResetEventSlim();
        using var log = new Recorder(_ =>
        {
            release.Wait(TimeSpan.FromMinutes(2));
            return 0;
        });
        using var background = new BackgroundLoggerFactory(log, _ => LogLevel.Trace);
        var logger = background.CreateLogger("test");
        var watch = Stopwatch.StartNew();

        for (var entry = 0; entry < Logged; entry++)
            Log.LimitExceeded(logger, "x");

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.InRange(background.Dropped, Logged - BackgroundLoggerFactory.MaximumEntries - 1, Logged);
        release.Set();
        await Waits.UntilAsync(() => log.Lines.Any(line => line.Contains("entries of the log were dropped", StringComparison.Ordinal)));
        Assert.Equal(0, background.Dropped);
    }

    [Fact]
    public async Task A_level_that_changes_before_the_first_entry_is_noticed()
    {
        var least = LogLevel.Warning;
        using var log = new Recorder();
        using var filtered = LoggerFactory.Create(logging => logging.AddFilter(level => level >= least).AddProvider(new Provider(log)));
        using var background = new BackgroundLoggerFactory(filtered, _ => LogLevel.Trace);
        var logger = background.CreateLogger("test");
        Assert.False(logger.IsEnabled(LogLevel.Information));
        least = LogLevel.Information;
        await Waits.UntilAsync(() => logger.IsEnabled(LogLevel.Information));
        least = LogLevel.Error;
        await background.RefreshAsync(TimeSpan.FromSeconds(30));
        Assert.False(logger.IsEnabled(LogLevel.Warning));
    }

    [Fact]
    public async Task Exceptions_of_any_call_to_the_log_end_nothing()
    {
        using var broken = new BrokenFactory();
        await using var broker = await Brokers.StartAsync(options => options.LoggerFactory = broken);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.ExpectNothingAsync();
    }

    [Fact]
    public async Task What_a_peer_sent_is_escaped_and_cut()
    {
        using var log = new Recorder();
        await using (var broker = await Brokers.StartAsync(options => options.LoggerFactory = log))
        {
            await using var forger = await broker.ConnectInProcessAsync(options =>
                options.ClientId = "c\u202Ex\u2028y\u00ADz\\ connected" + new string('n', 900)).Bounded();
        }

        var line = Assert.Single(log.Lines, line => line.Contains("connected from", StringComparison.Ordinal));
        Assert.Contains(@"Client c\u202ex\u2028y\u00adz\\ connectednnn", line, StringComparison.Ordinal);
        Assert.InRange(line.Length, 1, 500);
    }

    [Fact]
    public async Task The_log_of_a_start_says_nothing_of_HTTP()
    {
        using var log = new Recorder();
        await using (var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = log;
            options.ListenWebSocket(0);
        }))
        {
            Assert.Equal(2, broker.Addresses.Count);
        }

        Assert.DoesNotContain(log.Lines, line => line.Contains("http://", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(2, log.Lines.Count(line => line.StartsWith("Listening on ", StringComparison.Ordinal)));
    }

    private sealed class Provider(ILoggerFactory factory) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => factory.CreateLogger(categoryName);

        public void Dispose()
        {
        }
    }

    private sealed class BrokenFactory : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => throw new ObjectDisposedException("factory");

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public void Dispose()
        {
        }
    }

    // Keeps the lines of all categories; the function is called with the number of each entry, and may throw or block.
    internal sealed class Recorder(Func<int, int>? happens = null, LogLevel least = LogLevel.Trace) : ILoggerFactory, ILogger
    {
        private readonly ConcurrentQueue<string> lines = new();
        private int entries;

        public IReadOnlyCollection<string> Lines => lines;

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            happens?.Invoke(Interlocked.Increment(ref entries) - 1);
            lines.Enqueue(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
