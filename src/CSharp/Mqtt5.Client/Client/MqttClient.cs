using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>
/// A client of MQTT 5 and, where <see cref="MqttClientOptions.Version"/> says so, of MQTT 3.1.1 or 3.1. It keeps its connection: it reconnects with a backoff, resumes its session or subscribes again, and
/// sends what could not be sent meanwhile. All members can be called from any thread; messages of one caller to one
/// topic keep their order. Handlers never run on the task that reads from the network.
/// </summary>
public sealed partial class MqttClient : IAsyncDisposable
{
    private readonly ClientEngine engine;
    private readonly MqttClientOptions options;
    private readonly NoticeBoard notices;
    private readonly UngatedLogger? log;
    private readonly TopicCache topics = new();

    /// <summary>Makes a client that does nothing yet; <see cref="OpenAsync"/> connects it.</summary>
    /// <param name="options">How it connects and behaves; they must not change afterwards.</param>
    /// <exception cref="ArgumentException">The options are not valid.</exception>
    /// <exception cref="MqttNotSupportedException">The version of the options does not have one of them.</exception>
    public MqttClient(MqttClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.options = options;
        log = options.LoggerFactory is { } loggers ? new UngatedLogger(loggers.CreateLogger<MqttClient>()) : null;
        var logger = (ILogger?)log ?? NullLogger.Instance;
        notices = new NoticeBoard(logger) { Sender = this };
        engine = new ClientEngine(options, notices, logger);
        engine.Subscriptions.StartFallback();
        responses = new ResponseRouter(this);
    }

    internal ClientEngine Engine => engine;

    /// <summary>What the server answered when the connection was opened last; null: it never was.</summary>
    public MqttConnectResult? Server => notices.Result;

    /// <summary>
    /// The version of the connection, or of the next one. With <see cref="MqttVersion.Negotiate"/> it is
    /// <see cref="MqttVersion.Mqtt5"/> until a server does not take that.
    /// </summary>
    public MqttVersion Version => engine.Version.ToPublic();

    /// <summary>The Client Identifier in use; null while the server has not assigned one.</summary>
    public string? ClientId
    {
        get
        {
            lock (engine.Gate)
                return engine.State.Progress.ClientId.IsSome ? engine.State.Progress.ClientId.Value.Text : null;
        }
    }

    /// <summary>Makes a client and connects it.</summary>
    /// <param name="uri">The server: <c>mqtt://host</c>, <c>mqtts</c>, <c>ws</c>, <c>wss</c> or <c>unix</c>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The client, connected. Dispose it.</returns>
    /// <exception cref="MqttConnectException">The server cannot be reached, or refuses.</exception>
    public static Task<MqttClient> ConnectAsync(string uri, CancellationToken cancellationToken = default) =>
        ConnectAsync(MqttClientOptions.For(uri), cancellationToken);

    /// <summary>Makes a client and connects it.</summary>
    /// <param name="options">How it connects and behaves.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The client, connected. Dispose it.</returns>
    /// <exception cref="MqttConnectException">The server cannot be reached, or refuses.</exception>
    public static async Task<MqttClient> ConnectAsync(MqttClientOptions options, CancellationToken cancellationToken = default)
    {
        var client = new MqttClient(options);

        try
        {
            await client.OpenAsync(cancellationToken).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Connects a client that is idle or closed. A closed one goes on with its session if the server has it.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What the server answered.</returns>
    /// <exception cref="MqttConnectException">The server cannot be reached, or refuses.</exception>
    /// <exception cref="MqttRejectedException">The client is connected or connecting.</exception>
    public async Task<MqttConnectResult> OpenAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var settlement = await engine.WaitAsync(engine.Start(), cancellationToken).ConfigureAwait(false);

        return settlement switch
        {
            Settlement.Connected connected => new MqttConnectResult(connected.Connack),
            Settlement.Ended ended => throw Failures.OfConnect(ended.Cause),
            _ => throw Failures.Of(settlement!, cancellationToken),
        };
    }

    /// <summary>
    /// Ends the connection and does not connect again. Everything that waits fails with
    /// <see cref="MqttDisconnectedException"/>, and the loops of subscriptions end.
    /// </summary>
    /// <param name="reason">
    /// The reason; with 0x04 the server publishes the Will Message. Before MQTT 5 there are no reasons: for another one than
    /// 0x00 the connection is closed without DISCONNECT, after which the server publishes the Will Message.
    /// </param>
    /// <param name="sessionExpiry">How long the session lives from now on; null: as before.</param>
    /// <param name="reasonString">What happened, for people.</param>
    /// <param name="userProperties">User Properties, in order.</param>
    /// <param name="cancellationToken">Ends the wait; the connection is ended all the same.</param>
    /// <returns>When DISCONNECT has been written, or after the close timeout.</returns>
    /// <exception cref="MqttNotSupportedException">The version has no session expiry, reason string or User Properties here.</exception>
    public async Task DisconnectAsync(
        ReasonCode reason = ReasonCode.Success,
        TimeSpan? sessionExpiry = null,
        string? reasonString = null,
        UserProperties? userProperties = null,
        CancellationToken cancellationToken = default)
    {
        var outcome = OutcomeOf(reason, sessionExpiry, reasonString, userProperties);

        if (Encode.Check(Direction.ClientToServer, Packet.NewDisconnect(outcome)) is { IsSome: true } fault)
            throw Failures.Of(fault.Value);

        Task flushed;
        Request request;

        lock (engine.Gate)
        {
            request = engine.Ask(ticket => ClientEvent.NewDisconnect(outcome, ticket));
            // Also of a connection that another call has ended.
            flushed = engine.Flushed;
        }

        if (await request.Task.ConfigureAwait(false) is Settlement.Rejected rejected)
            throw Failures.Of(rejected.Fault);

        await flushed.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Authenticates again on the open connection, with the authenticator of the options (section 4.12.1).</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>When the server has accepted.</returns>
    public Task ReauthenticateAsync(CancellationToken cancellationToken = default) => engine.Authentication.ReauthenticateAsync(cancellationToken);

    /// <summary>
    /// Disconnects and ends everything that the client does: pending calls fail, loops end, handlers are told to stop and
    /// waited for as long as the close timeout.
    /// </summary>
    /// <returns>When it is done.</returns>
    public async ValueTask DisposeAsync()
    {
        if (!engine.Retire())
            return;

        await DisconnectAsync().ConfigureAwait(false);
        await Task.WhenAll(engine.Subscriptions.Handling().Select(subscription => subscription.StopWorkersAsync())).ConfigureAwait(false);
        engine.Stop();

        try
        {
            var ending = Task.WhenAll(notices.CompleteAsync(), log?.WrittenAsync() ?? Task.CompletedTask);
            await ending.WaitAsync(options.CloseTimeout, options.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException late)
        {
            Log.HandlerFailed(engine.Logger, "an event", late);
        }
    }

    private static Outcome<DisconnectProperties> OutcomeOf(
        ReasonCode reason, TimeSpan? sessionExpiry, string? reasonString, UserProperties? userProperties)
    {
        if (sessionExpiry is null && reasonString is null && userProperties is null or { IsEmpty: true })
            return reason == ReasonCode.Success ? Outcome<DisconnectProperties>.Omitted : Outcome<DisconnectProperties>.NewCode(reason);

        return Outcome<DisconnectProperties>.NewFull(
            reason,
            new DisconnectProperties(
                sessionExpiry.ToSeconds(nameof(sessionExpiry)),
                reasonString.ToOption(),
                userProperties ?? UserProperties.Empty,
                default));
    }
}
