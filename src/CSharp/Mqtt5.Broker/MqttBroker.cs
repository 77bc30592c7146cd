using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.Logging;
using Mqtt5.Hosting;
using Mqtt5.Serving;
using Mqtt5.Storage;
using Mqtt5.Testing;
using Mqtt5.Transports;

namespace Mqtt5;

/// <summary>
/// An MQTT broker. It connects to no other server, so nothing of it is a client [MQTT3-7.0.0-1]. <see cref="StartAsync(Action{MqttBrokerOptions}, CancellationToken)"/> runs one in any process;
/// in ASP.NET Core add it to the services and map it. Safe to use from many threads.
/// </summary>
public sealed class MqttBroker : IAsyncDisposable
{
    // How long a shutdown waits for the log to be written.
    private static readonly TimeSpan LogPatience = TimeSpan.FromSeconds(1);

    private readonly InMemoryTransport inProcess = new();
    private readonly Lock stopping = new();
    private readonly ConcurrentDictionary<Task, bool> served = new();
    private readonly MqttBrokerOptions options;
    private readonly SemaphoreSlim changing = new(1);
    private NetworkHost? host;
    private Task? stopped;

    internal MqttBroker(MqttBrokerOptions options)
    {
        this.options = options;
        options.CheckSafety();
        options.CheckRanges();
        options.BackgroundLoggers = options.LoggerFactory is { } loggers ? new BackgroundLoggerFactory(loggers, LeastLevelOf) : null;
        options.Machine = MachineLimits.Of(options.Listeners.Count);
        WebAccess = new WebAccess(options);
        WebSocketSubProtocols = [.. options.WebSocketSubProtocols];
        Engine = new BrokerEngine(options);

        Inspection = new MqttBrokerInspection(this);

        if (options.Machine is { Lowered: { Length: > 0 } lowered } machine)
            Log.LimitsDerived(Engine.Logger, Descriptors.Limit, machine.MemoryMegabytes, lowered);

        _ = AcceptAsync();
    }

    /// <summary>The addresses that it listens at, with the ports that were given; valid once it is started.</summary>
    public IReadOnlyList<Uri> Addresses => [.. Listening.Select(one => one.Address)];

    /// <summary>How many clients are connected.</summary>
    public int ConnectionCount => Engine.Registry.Current.Connections;

    /// <summary>
    /// Connects clients of this process without a network: give it to <see cref="MqttClientOptions.Transport"/>.
    /// They are trusted: no authenticator is asked.
    /// </summary>
    public IMqttTransport InProcess => inProcess;

    /// <summary>
    /// Completes when the <see cref="MqttBrokerOptions.Store"/> has failed, with its exception. The broker then ends all
    /// connections without acknowledging what is not durable, and serves no more; start another process, which goes on from
    /// what is on the disk. Never completes without a store.
    /// </summary>
    public Task<MqttStoreException> StoreFailed => Engine.StoreFailed;

    /// <summary>The sessions, connected or not, as they are now.</summary>
    public IReadOnlyList<MqttSessionInfo> Sessions =>
        [.. Engine.Registry.Current.Sessions.Select(pair => MqttSessionInfo.Of(pair.Value, Engine))];

    /// <summary>Looks into the broker while it runs: clients, sessions, subscriptions, retained messages, drops, events.</summary>
    public MqttBrokerInspection Inspection { get; }

    internal static string Version { get; } =
        "mqtt5 " + (typeof(MqttBroker).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0");

    internal BrokerEngine Engine { get; }

    // How many Kestrels serve its listeners.
    internal int KestrelCount => host?.KestrelCount ?? 0;

    internal IReadOnlyList<OpenListener> Listening => host?.Open ?? [];

    internal WebAccess WebAccess { get; }

    internal IReadOnlyList<string> WebSocketSubProtocols { get; }

    internal bool IsForLoopbackOnly => options is { Authenticator: null, AllowAnonymous: false };

    internal bool IsRunning => Volatile.Read(ref stopped) is null && Engine.StoreStatus is null && (host is not null || options.Listeners.Count == 0);

    /// <summary>Makes a broker and starts it.</summary>
    /// <param name="configure">Fills the options.</param>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <returns>The broker; dispose it to shut it down.</returns>
    /// <exception cref="InvalidOperationException">It would listen to the world without knowing its clients.</exception>
    /// <exception cref="IOException">A listener cannot be bound; the message says which one and why.</exception>
    /// <exception cref="MqttStoreException">The store cannot be opened or read; the fault says why.</exception>
    public static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions> configure, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(configure);
        var options = new MqttBrokerOptions();
        configure(options);
        return StartAsync(options, cancellationToken);
    }

    /// <summary>Makes a broker and starts it.</summary>
    /// <param name="options">The options; not looked at later.</param>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <returns>The broker; dispose it to shut it down.</returns>
    /// <exception cref="InvalidOperationException">It would listen to the world without knowing its clients.</exception>
    /// <exception cref="IOException">A listener cannot be bound; the message says which one and why.</exception>
    /// <exception cref="MqttStoreException">The store cannot be opened or read; the fault says why.</exception>
    public static async Task<MqttBroker> StartAsync(MqttBrokerOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var broker = new MqttBroker(options);

        try
        {
            await broker.ListenAsync(cancellationToken).ConfigureAwait(false);
            return broker;
        }
        catch
        {
            await broker.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Publishes a message in the name of the broker itself. No permission is asked.</summary>
    /// <param name="message">The message.</param>
    /// <returns>Success, 0x10 when no subscription matches the topic, or why it cannot be retained.</returns>
    /// <exception cref="ArgumentException">The message cannot be sent by MQTT.</exception>
    /// <exception cref="InvalidOperationException">The broker has a store, and has not read it yet.</exception>
    public ReasonCode Publish(MqttMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        Engine.CheckRecovered();
        return Engine.Publish(ServerMessages.Of(message, Engine.Now()));
    }

    /// <summary>
    /// Changes limits and listeners while the broker runs; the levels of the log are asked for again. All or nothing: where it
    /// throws, all stays as it was. One change is made at a time.
    /// <para>
    /// Limits are in force at once, but for those that a connection was told or began with
    /// (<see cref="LimitRule.IsKept"/>), which new connections have. What is there beyond a lower limit stays.
    /// </para>
    /// <para>
    /// Listeners that are the same stay, with the same object of <see cref="MqttServerTlsOptions"/> if they have one. Others
    /// are closed: they accept no more connections, and those that they accepted go on. New ones are opened; where one is at
    /// the place of another that is closed, no connection is accepted there for a moment.
    /// </para>
    /// </summary>
    /// <param name="options">
    /// The options, of which all but limits and listeners has to be as at the start. The logger factory, the clock and the
    /// functions of the application stay those of the start. Not looked at later.
    /// </param>
    /// <param name="committing">
    /// Called once all that can fail is done, before anything changes, such as to replace what an authenticator knows; must
    /// not block. If it throws, nothing changes.
    /// </param>
    /// <param name="cancellationToken">Gives it up while listeners are opened.</param>
    /// <returns>When it is done.</returns>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="InvalidOperationException">
    /// An option cannot be changed while the broker runs; the message names it. Or the broker has not started, or has stopped,
    /// or would listen to the world without knowing its clients.
    /// </exception>
    /// <exception cref="MqttListenException">A listener cannot be opened; the message says which one and why.</exception>
    public async Task ReconfigureAsync(MqttBrokerOptions options, Action? committing = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        options.CheckUnchanged(this.options);
        options.Machine = this.options.Machine!.Again();
        await changing.WaitAsync(cancellationToken).ConfigureAwait(false);

        try
        {
            if (!IsRunning || host is not { } network)
                throw new InvalidOperationException("the broker does not run");

            var settings = options.ToSettings();
            var change = await network.PrepareAsync(options, cancellationToken).ConfigureAwait(false);

            try
            {
                committing?.Invoke();
            }
            catch
            {
                await network.AbandonAsync(change).ConfigureAwait(false);
                throw;
            }

            Engine.Configure(settings);
            await network.CommitAsync(change, options.Limits.ConnectTimeout).ConfigureAwait(false);

            foreach (var closed in change.Removed)
                Log.NotListening(Engine.Logger, closed.Address);

            foreach (var opened in change.Added)
                Log.Listening(Engine.Logger, opened.Address);

            if (this.options.BackgroundLoggers is { } loggers)
                await loggers.RefreshAsync(LogPatience).ConfigureAwait(false);
        }
        finally
        {
            changing.Release();
        }
    }

    /// <summary>Ends the connection of a client, and tells it why. Its session goes on as it asked for.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="reason">Why; a code that DISCONNECT of a server may have.</param>
    /// <returns>False when there is no session of this client.</returns>
    public bool Disconnect(string clientId, ReasonCode reason = ReasonCode.AdministrativeAction)
    {
        CheckReason(reason);
        return Engine.With(
            clientId,
            (turn, session) => Node.Disconnect(turn, session, reason));
    }

    /// <summary>Ends the session of a client and its connection, if it has one. Its Will is published.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="reason">Why; a code that DISCONNECT of a server may have.</param>
    /// <returns>False when there is no session of this client.</returns>
    public bool EndSession(string clientId, ReasonCode reason = ReasonCode.AdministrativeAction)
    {
        CheckReason(reason);
        return Engine.With(
            clientId,
            (turn, session) => Node.EndSession(turn, session, reason));
    }

    /// <summary>
    /// Connects a client of this process without a network. It is an ordinary client, and trusted; its session ends with
    /// its connection unless the options say otherwise.
    /// </summary>
    /// <param name="configure">Fills the options; null: as they are by default.</param>
    /// <param name="cancellationToken">Gives up connecting.</param>
    /// <returns>The client; dispose it to disconnect it.</returns>
    /// <exception cref="MqttException">It was refused.</exception>
    public Task<MqttClient> ConnectInProcessAsync(
        Action<MqttClientOptions>? configure = null, CancellationToken cancellationToken = default)
    {
        var client = MqttClientOptions.For("mqtt://in-process");
        client.Transport = inProcess;
        client.SessionExpiry = null;
        configure?.Invoke(client);
        return MqttClient.ConnectAsync(client, cancellationToken);
    }

    /// <summary>Explains what would become of a message for a session, if it were published now.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="message">The message.</param>
    /// <param name="publisherId">The client that would publish it; null: the broker itself.</param>
    /// <returns>The explanation.</returns>
    /// <exception cref="ArgumentException">The message cannot be sent by MQTT.</exception>
    public DeliveryVerdict Explain(string clientId, MqttMessage message, string? publisherId = null)
    {
        ArgumentNullException.ThrowIfNull(message);
        var verdict = DeliveryVerdict.NoSession;
        var publisher = publisherId is null ? null : Engine.Registry.Current.Sessions.TryFind(publisherId)?.Value;
        var asked = ServerMessages.Of(message, Engine.Now(), publisher?.Session ?? SessionId.None);
        Engine.With(clientId, (turn, session) => verdict = Node.Explain(turn, session, asked));
        return verdict;
    }

    /// <summary>
    /// Shuts down: no more connections, DISCONNECT 0x8B to every client, and what was sent last is given time to
    /// arrive, at most <see cref="MqttBrokerOptions.CloseTimeout"/>.
    /// </summary>
    /// <returns>When it is done.</returns>
    public Task StopAsync()
    {
        lock (stopping)
            return stopped ??= ShutDownAsync();
    }

    /// <summary>Shuts down.</summary>
    /// <returns>When it is done.</returns>
    public ValueTask DisposeAsync() => new(StopAsync());

    internal async Task ListenAsync(CancellationToken cancellationToken)
    {
        await Engine.RecoverAsync(cancellationToken).ConfigureAwait(false);

        host = new NetworkHost(this, options);
        var listeners = await host.PrepareAsync(options, cancellationToken).ConfigureAwait(false);
        await host.CommitAsync(listeners, options.Limits.ConnectTimeout).ConfigureAwait(false);

        foreach (var address in Addresses)
            Log.Listening(Engine.Logger, address);
    }

    private static void CheckReason(ReasonCode reason)
    {
        if (!Spec.reasonAllowed(Direction.ServerToClient, PacketType.Disconnect, reason))
            throw new ArgumentOutOfRangeException(nameof(reason), reason, "DISCONNECT of a server has no such code");
    }

    private async Task ShutDownAsync()
    {
        await changing.WaitAsync().ConfigureAwait(false);
        var closing = host?.CloseListenersAsync() ?? Task.CompletedTask;
        await Engine.StopAsync(options.CloseTimeout).ConfigureAwait(false);
        await closing.ConfigureAwait(false);
        await Task.WhenAll(served.Keys).ConfigureAwait(false);

        if (host is not null)
            await host.DisposeAsync().ConfigureAwait(false);

        if (options.BackgroundLoggers is { } loggers)
        {
            await loggers.FlushAsync(LogPatience).ConfigureAwait(false);
            loggers.Dispose();
        }

        changing.Release();
    }

    // The messages of the web host are hidden: they speak of HTTP, and the broker logs its listeners itself.
    private static LogLevel LeastLevelOf(string category) =>
        category.StartsWith("Microsoft.Hosting", StringComparison.Ordinal)
        || category.StartsWith("Microsoft.AspNetCore.Hosting", StringComparison.Ordinal)
        || category.StartsWith("Microsoft.Extensions.Hosting", StringComparison.Ordinal)
            ? LogLevel.None
            : LogLevel.Trace;

    // Until the broker is shut down: after that the engine closes new connections at once, so that no client waits in
    // vain.
    private async Task AcceptAsync()
    {
        while (true)
        {
            var connection = await inProcess.AcceptAsync().ConfigureAwait(false);
            var serving = ServeAsync(connection);
            served.TryAdd(serving, true);
            _ = serving.ContinueWith(done => served.TryRemove(done, out _), TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(InMemoryConnection connection)
    {
        await Task.Yield();
        var origin = new InProcessOrigin(connection);
        await Engine.ServeAsync(connection.Input, connection.Output, origin).ConfigureAwait(false);
        await origin.EndAsync().ConfigureAwait(false);
    }
}
