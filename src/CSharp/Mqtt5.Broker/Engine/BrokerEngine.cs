using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.Transports;

namespace Mqtt5.Serving;

// Hosts the node in this process: connections, clock, turns and shutdown. All protocol decisions are the node's.
internal sealed partial class BrokerEngine
{
    private readonly ConcurrentQueue<Turn> turns = new();
    private readonly ConcurrentDictionary<Connection, bool> connections = new();
    private readonly BrokerHost host;
    private readonly long origin;
    private BrokerSettings settings;
    private int pending;
    private long served;
    private bool stopping;

    public BrokerEngine(MqttBrokerOptions options)
    {
        Use(options.ToSettings());
        Logger = options.BackgroundLoggers?.CreateLogger<MqttBroker>() ?? (ILogger)NullLogger.Instance;
        Time = options.TimeProvider;
        origin = Time.GetTimestamp();
        Authenticator = options.Authenticator;
        AllowAnonymous = options.AllowAnonymous;
        Versions = options.Versions;
        CloseTimeout = (long)options.CloseTimeout.TotalMilliseconds;
        Watching = new BrokerWatch(Time);
        Refusals = new Refusals(Logger, Time, Watching);
        Hooks = new Hooks(options, Logger, Watching);
        SharedPayloads = new SharedPayloads(Totals);
        Registry = new Registry(BrokerModule.Create(0, HashSeed.Of(RandomNumber(), RandomNumber()), Settings));
        host = new BrokerHost(this, options.Authorizer);
        UseStore(options);
        systemInterval = (long)options.SystemTopicsInterval.TotalMilliseconds;
        sweep = Time.CreateTimer(static engine => ((BrokerEngine)engine!).Sweep(), this, SweepPeriod, SweepPeriod);
        Telemetry.Add(this);
    }

    public BrokerSettings Settings => Volatile.Read(ref settings);

    public ILogger Logger { get; }

    public TimeProvider Time { get; }

    public IMqttBrokerAuthenticator? Authenticator { get; }

    public bool AllowAnonymous { get; }

    // The versions that a listener takes unless it has its own.
    public ProtocolVersions Versions { get; }

    // What may wait for a client that reads too slowly, in bytes.
    public long SendBufferBytes { get; private set; }

    // The same while all connections together have more than they may.
    public long LeastSendBufferBytes { get; private set; }

    // What may wait for a client now.
    public long CurrentSendBufferBytes =>
        Totals.BytesUnsent > Settings.Limits.TotalSendBufferBytes ? LeastSendBufferBytes : SendBufferBytes;

    // How long a client has to take what it is sent last, in milliseconds.
    public long CloseTimeout { get; }

    // Counts by reason, and the events for those who watch.
    public BrokerWatch Watching { get; }

    // The connections that did not become clients.
    public Refusals Refusals { get; }

    public Hooks Hooks { get; }

    public Totals Totals { get; } = new();

    public SharedPayloads SharedPayloads { get; }

    // Whose turn it is in each shared subscription.
    public SharedCounters SharedCounters { get; } = new();

    public Registry Registry { get; }

    public int Pending => Volatile.Read(ref pending);

    // Connections of which anything still runs: those of clients, those that have not connected, and those that end.
    public long Served => Volatile.Read(ref served);

    public bool IsStopping => Volatile.Read(ref stopping);

    // How many more bytes may wait or be under way in all sessions together. What each connection may have under way in
    // any case can be more than there is.
    public long SpareBytes => Math.Max(0, Settings.Limits.TotalQueuedBytes - Totals.BytesQueued);

    // Other limits. Never called twice at a time.
    public void Configure(BrokerSettings next)
    {
        Use(next);
        var turn = Rent();

        try
        {
            Node.Configured(turn, Registry.Sessions);
        }
        finally
        {
            Return(turn);
        }
    }

    // Milliseconds since the engine was made.
    public long Now() => (long)Time.GetElapsedTime(origin).TotalMilliseconds;

    public Turn Rent()
    {
        if (!turns.TryDequeue(out var turn))
            turn = new Turn(host);

        Node.Begin(turn);
        return turn;
    }

    public void Return(Turn turn)
    {
        Node.End(turn);
        turns.Enqueue(turn);
    }

    // Serves a connection until it is closed.
    public Task ServeAsync(PipeReader input, PipeWriter output, Origin from)
    {
        Totals.ConnectionOpened();

        // A connection that was refused, or that is being closed, is in neither of the two counts and still has its memory.
        if (Interlocked.Increment(ref served) > (long)Settings.Limits.MaximumConnections + Settings.Limits.PendingConnections)
        {
            Interlocked.Decrement(ref served);
            Exceeded(LimitName.PendingConnections);
            from.Abort();
            return Task.CompletedTask;
        }

        var connection = new Connection(this, input, output, from);
        connections.TryAdd(connection, true);
        Watch(connection);

        if (Interlocked.Increment(ref pending) > Settings.Limits.PendingConnections)
        {
            Exceeded(LimitName.PendingConnections);
            connection.Refuse();
        }
        else if (IsStopping)
        {
            connection.Refuse();
        }

        return recovered.IsCompletedSuccessfully ? connection.RunAsync() : RunRecoveredAsync(connection);
    }

    // A connection belongs to a session now.
    public void Accepted(Connection connection)
    {
        Greeted();
        Unwatch(connection);
    }

    // A connection belongs to a session now, or never will.
    public void Greeted() => Interlocked.Decrement(ref pending);

    // A client went beyond a limit.
    public void Exceeded(LimitName limit)
    {
        Watching.Exceeded(limit);
        Telemetry.Exceeded(Logger, limit);
        Log.LimitExceeded(Logger, LimitTable.Of(limit).Key);
    }

    // Nothing of the connection runs any more.
    public void Leave(Connection connection)
    {
        connections.TryRemove(connection, out _);
        unsettled.TryRemove(connection, out _);
        Interlocked.Decrement(ref served);
    }

    // Publishes in the name of the broker itself.
    public ReasonCode Publish(ServerMessage message)
    {
        var turn = Rent();

        try
        {
            return Node.Publish(turn, message);
        }
        finally
        {
            Return(turn);
        }
    }

    // Does something with a session. False: there is none of this client.
    public bool With(string clientId, Action<Turn, Session> action)
    {
        if (Registry.Current.Sessions.TryFind(clientId)?.Value is not { } entry || Registry.TryFind(entry.Session) is not { } session)
            return false;

        var turn = Rent();

        try
        {
            action(turn, session);
            return true;
        }
        finally
        {
            Return(turn);
        }
    }

    // Tells every client that the server shuts down, and waits until they are gone, but not longer than this.
    public async Task StopAsync(TimeSpan patience)
    {
        Volatile.Write(ref stopping, true);

        foreach (var session in Registry.Sessions)
        {
            var turn = Rent();
            Node.ShutDown(turn, session);
            Return(turn);
        }

        foreach (var (connection, _) in connections)
            connection.Refuse();

        var all = Task.WhenAll(connections.Keys.Select(connection => connection.Ended));
        await Task.WhenAny(all, Task.Delay(patience)).ConfigureAwait(false);

        foreach (var (connection, _) in connections)
            connection.Abort();

        await sweep.DisposeAsync().ConfigureAwait(false);
        await CloseStoreAsync().ConfigureAwait(false);
        Telemetry.Remove(this);
    }

    [MemberNotNull(nameof(settings))]
    private void Use(BrokerSettings next)
    {
        Volatile.Write(ref settings, next);
        SendBufferBytes = next.Limits.SendBufferBytes;
        LeastSendBufferBytes = Math.Min(SendBufferBytes, 16 * 1024);
    }

    private static ulong RandomNumber() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
}
