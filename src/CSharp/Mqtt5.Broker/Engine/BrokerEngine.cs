using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// The shell of the server machines: who is connected, the registry, and time. What is allowed and what is due is decided
// by the machines, never here.
internal sealed partial class BrokerEngine
{
    private readonly ConcurrentQueue<Worker> workers = new();
    private readonly ConcurrentDictionary<Connection, bool> connections = new();
    private readonly IMqttBrokerAuthorizer? authorizer;
    private readonly long origin;
    private long ticket;
    private int pending;
    private long served;
    private bool stopping;

    public BrokerEngine(MqttBrokerOptions options)
    {
        Settings = options.ToSettings();
        Logger = options.BackgroundLoggers?.CreateLogger<MqttBroker>() ?? (ILogger)NullLogger.Instance;
        Time = options.TimeProvider;
        origin = Time.GetTimestamp();
        Authenticator = options.Authenticator;
        authorizer = options.Authorizer;
        AllowAnonymous = options.AllowAnonymous;
        SendBufferBytes = Settings.Limits.SendBufferBytes;
        CloseTimeout = (long)options.CloseTimeout.TotalMilliseconds;
        Hooks = new Hooks(options, Logger);
        Registry = new Registry(BrokerModule.Create(0, HashSeed.Of(RandomNumber(), RandomNumber()), Settings), Totals);
        systemInterval = (long)options.SystemTopicsInterval.TotalMilliseconds;
        sweep = Time.CreateTimer(static engine => ((BrokerEngine)engine!).Sweep(), this, SweepPeriod, SweepPeriod);
        Telemetry.Add(this);
    }

    public BrokerSettings Settings { get; }

    public ILogger Logger { get; }

    public TimeProvider Time { get; }

    public IMqttBrokerAuthenticator? Authenticator { get; }

    public bool AllowAnonymous { get; }

    // What may wait for a client that reads too slowly, in bytes.
    public long SendBufferBytes { get; }

    // How long a client has to take what it is sent last, in milliseconds.
    public long CloseTimeout { get; }

    public Hooks Hooks { get; }

    public Totals Totals { get; } = new();

    // Whose turn it is in each shared subscription.
    public SharedTurns Turns { get; } = new();

    public Registry Registry { get; }

    public int Pending => Volatile.Read(ref pending);

    // Connections of which anything still runs: those of clients, those that have not connected, and those that end.
    public long Served => Volatile.Read(ref served);

    public bool IsStopping => Volatile.Read(ref stopping);

    // How many more bytes may wait or be under way in all sessions together. What each connection may have under way in
    // any case can be more than there is.
    public long SpareBytes => Math.Max(0, Settings.Limits.TotalQueuedBytes - Totals.BytesQueued);

    // Milliseconds since the engine was made.
    public long Now() => (long)Time.GetElapsedTime(origin).TotalMilliseconds;

    public Worker Rent()
    {
        if (!workers.TryDequeue(out var worker))
            worker = new Worker(this);

        worker.Begin();
        return worker;
    }

    public void Return(Worker worker)
    {
        worker.End();
        workers.Enqueue(worker);
    }

    public Session? TryFind(long session) => Registry.TryFind(session);

    public Session? Forget(long session) => Registry.Forget(session);

    public long NextTicket() => Interlocked.Increment(ref ticket);

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

        if (Interlocked.Increment(ref pending) > Settings.Limits.PendingConnections)
        {
            Exceeded(LimitName.PendingConnections);
            connection.Refuse();
        }
        else if (IsStopping)
        {
            connection.Refuse();
        }

        return connection.RunAsync();
    }

    // A connection belongs to a session now, or never will.
    public void Greeted() => Interlocked.Decrement(ref pending);

    // Somebody went beyond a limit.
    public void Exceeded(LimitName limit)
    {
        Telemetry.Exceeded(Logger, limit);
        Log.LimitExceeded(Logger, LimitTable.Of(limit).Key);
    }

    public void Exceeded(FSharpValueOption<LimitName> limit)
    {
        if (limit.IsSome)
            Exceeded(limit.Value);
    }

    // Nothing of the connection runs any more.
    public void Leave(Connection connection)
    {
        connections.TryRemove(connection, out _);
        Interlocked.Decrement(ref served);
    }

    // Enters a client in the registry and attaches its connection. Otherwise the reason why it is refused.
    public ReasonCode? Admit(
        Connection connection,
        Connect connect,
        string? userName,
        FSharpValueOption<Authentication> authentication,
        out Connection? earlier)
    {
        earlier = null;

        if (IsStopping)
            return ReasonCode.ServerShuttingDown;

        var spare = ClientId.Of($"auto-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12))}");
        var clientId = connect.ClientId.IsSome ? connect.ClientId.Value : spare;

        if (Authorize(clientId, userName, connection, out var permissions) is { } unauthorized)
            return unauthorized;

        if (permissions is not null && connect.Will.IsSome && !permissions.MayPublish(connect.Will.Value.Topic))
            return ReasonCode.NotAuthorized;

        var worker = Rent();

        try
        {
            if (Registry.Admit(worker.Now, connect, spare, out var admission, out var refused) is not { } session)
            {
                Log.Refused(Logger, connection.Origin.EndPoint, refused);
                Exceeded(LimitTable.OfAdmission(Settings.Limits, Registry.Current.Connections, refused));
                return refused;
            }

            // Somebody has the identifier that was drawn; the registry found another one.
            if (!admission!.ClientId.Equals(clientId) && Authorize(admission.ClientId, userName, connection, out permissions) is { } reason)
            {
                var end = new ConnectionEnd(admission.Connection, keepsWill: false, sessionExpiry: 0, Cause.ByApplication);
                worker.Follow(Registry.Detach(worker.Now, session.Number, end));
                return reason;
            }

            // The application hears of the end of the connection before first.
            worker.Follow(admission.Outcome);
            worker.Drain();
            var attachment = new Attachment(
                admission.Connection, connect, admission.Assigned, admission.SessionPresent, authentication);

            // A later connection, or whoever ended the session, may have been faster.
            if (worker.TryAttach(session, connection, attachment, permissions, out earlier))
            {
                earlier?.TellDisconnected(Cause.ByApplication);
                connection.TellConnected(admission.SessionPresent);
            }

            if (LimitTable.CutsSessionExpiry(Settings.Limits, connect))
                Exceeded(LimitName.SessionExpiry);

            if (LimitTable.ReplacesKeepAlive(Settings.Limits, connect))
                Exceeded(LimitName.KeepAlive);

            worker.Walk(session);
            return null;
        }
        finally
        {
            Return(worker);
        }
    }

    // Publishes in the name of the broker itself.
    public ReasonCode Publish(ServerMessage message)
    {
        var worker = Rent();

        try
        {
            return worker.Route(null, message);
        }
        finally
        {
            Return(worker);
        }
    }

    // Does something with a session. False: there is none of this client.
    public bool With(string clientId, Action<Worker, Session> action)
    {
        var entry = Registry.Current.Sessions.TryFind(clientId);

        if (entry is null || TryFind(entry.Value.Session) is not { } session)
            return false;

        var worker = Rent();

        try
        {
            action(worker, session);
            return true;
        }
        finally
        {
            Return(worker);
        }
    }

    // Tells every client that the server shuts down, and waits until they are gone, but not longer than this.
    public async Task StopAsync(TimeSpan patience)
    {
        Volatile.Write(ref stopping, true);

        foreach (var session in Registry.Sessions)
            Dismiss(session);

        foreach (var (connection, _) in connections)
            connection.Refuse();

        var all = Task.WhenAll(connections.Keys.Select(connection => connection.Ended));
        await Task.WhenAny(all, Task.Delay(patience)).ConfigureAwait(false);

        foreach (var (connection, _) in connections)
            connection.Abort();

        await sweep.DisposeAsync().ConfigureAwait(false);
        Telemetry.Remove(this);
    }

    // Tells a client that the server shuts down.
    public void Dismiss(Session session)
    {
        var worker = Rent();
        worker.Step(session, ServerEvent.NewClose(ReasonCode.ServerShuttingDown, Settings.ServerReference));
        Return(worker);
    }

    private static ulong RandomNumber() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));

    // Why the client is refused; null: it is not. Permissions of null are for everything.
    private ReasonCode? Authorize(ClientId clientId, string? userName, Connection connection, out IMqttPermissions? permissions)
    {
        permissions = null;

        if (authorizer is null)
            return null;

        try
        {
            var identity = new MqttClientIdentity(
                clientId.Text, userName, connection.Origin.EndPoint, connection.Origin.IsInProcess);

            // Whatever the annotations of the application say.
            if (authorizer.Authorize(identity) is not { } given)
                return ReasonCode.NotAuthorized;

            if (!ReferenceEquals(given, MqttPermissions.All))
                permissions = new UnfailingPermissions(given, Logger);

            return null;
        }
        catch (Exception failure)
        {
            Log.HookFailed(Logger, nameof(IMqttBrokerAuthorizer.Authorize), failure);
            return ReasonCode.ServerUnavailable;
        }
    }
}
