using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Mqtt5.Transports;

namespace Mqtt5.Engine;

// Runs the pure machine of a client: one gate around each step and all of its effects, with no await and no code of the
// application in between. What is allowed and what is due is decided by the machine, never here.
internal sealed class ClientEngine
{
    // Limits of the number and size of packets processed before the gate is released.
    private const int PacketsInGate = 1_000;
    private const int FrameBytesInGate = 16 * 1024;

    // The longest time that a timer takes. What is due later is looked at again then.
    private const long LongestTimerMilliseconds = uint.MaxValue - 1L;

    private readonly MqttClientOptions options;
    private readonly Dictionary<Ticket, Pending> pending = [];
    private readonly Queue<ClientEvent> deferred = new();
    private readonly ITimer timer;
    private readonly long origin;
    private ClientState state;
    private Link? current;
    private Task flushed = Task.CompletedTask;
    private Ticket lastTicket;
    private long armedFor = long.MaxValue;
    private int linkCount;
    private bool running;
    private bool isRetired;

    public ClientEngine(MqttClientOptions options, NoticeBoard notices, ILogger logger)
    {
        var settings = options.ToSettings();
        this.options = options;
        Notices = notices;
        Logger = logger;
        Time = options.TimeProvider;
        origin = Time.GetTimestamp();
        Servers = [.. options.Servers];
        Transport = options.Transport ?? options.CreateTransport();
        CloseTimeout = options.CloseTimeout;
        MaximumPacketBytes = options.MaximumPacketSize;
        state = ClientStateModule.Create(RandomNumber(), HashSeed.Of(RandomNumber(), RandomNumber()), settings);
        Turns = new PublicationTurns(this);
        Subscriptions = new SubscriptionRegistry(this, options);
        Authentication = new ClientAuthentication(this, options);
        Publisher = new Publisher(this, options);
        timer = Time.CreateTimer(static engine => ((ClientEngine)engine!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public Lock Gate { get; } = new();

    public PublicationTurns Turns { get; }

    public SubscriptionRegistry Subscriptions { get; }

    public ClientAuthentication Authentication { get; }

    public Publisher Publisher { get; }

    public NoticeBoard Notices { get; }

    public ILogger Logger { get; }

    public TimeProvider Time { get; }

    public Uri[] Servers { get; }

    public IMqttTransport Transport { get; }

    public TimeSpan CloseTimeout { get; }

    public int MaximumPacketBytes { get; }

    // The state as of now, for questions about it. Used under the gate.
    public ClientState State => state;

    // The link that events are taken from. Used under the gate.
    public Link? Current => current;

    // Completes when all that was sent on the last link has been written, or cannot be any more. Used under the gate.
    public Task Flushed => flushed;

    // Calls that have not come to their end.
    public int CallsUnderWay
    {
        get
        {
            lock (Gate)
                return pending.Count;
        }
    }

    // The version of the connection, or of the next one.
    public ProtocolVersion Version
    {
        get
        {
            lock (Gate)
                return state.Version;
        }
    }

    // Whether User Properties reach the server; false until a version is known that has them.
    public bool HasUserProperties
    {
        get
        {
            lock (Gate)
                return ClientVersions.HasUserProperties(state);
        }
    }

    public bool IsConnected
    {
        get
        {
            lock (Gate)
                return state.IsConnected;
        }
    }

    // Milliseconds since the engine was made.
    public long Now() => (long)Time.GetElapsedTime(origin).TotalMilliseconds;

    // Something happened that does not come from a link.
    public void Post(ClientEvent happened)
    {
        lock (Gate)
            Run(happened);
    }

    // Something happened on a link; it is dropped unless the link is the current one.
    public void Post(Link link, ClientEvent happened)
    {
        lock (Gate)
        {
            if (link == current)
                Run(happened);
        }
    }

    // A link could not be opened, broke, or was closed by the peer.
    public void LinkEnded(Link link, Exception failure)
    {
        lock (Gate)
        {
            if (link != current)
                return;

            Log.LinkEnded(Logger, link.Number, failure);
            current = null;
            link.Abort();
            Run(ClientEvent.NewTransportClosed(Cause.NewFailed(
                failure is CredentialsException { InnerException: { } asked }
                    ? FailureOf(FailedPart.Authenticator, asked)
                    : FailureOf(FailedPart.Transport, failure))));
        }
    }

    // A request whose ticket the machine settles. The event is made from the ticket.
    public Request Ask(Func<Ticket, ClientEvent> happening)
    {
        var request = new Request();

        lock (Gate)
            Ask(request, happening);

        return request;
    }

    // The same within the gate.
    public void Ask(Pending request, Func<Ticket, ClientEvent> happening)
    {
        Run(happening(Register(request)));
    }

    // Assigns a request its ticket. Called under the gate.
    public Ticket Register(Pending request)
    {
        lastTicket = lastTicket.Next;
        request.Ticket = lastTicket;
        pending.Add(request.Ticket, request);
        return request.Ticket;
    }

    // Starts the client.
    public Request Start()
    {
        var request = new Request();

        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(isRetired, typeof(MqttClient));
            Ask(request, ClientEvent.NewStart);
        }

        return request;
    }

    // Waits for a request, and takes it back when the token is cancelled.
    public async Task<Settlement?> WaitAsync(Request request, CancellationToken cancellationToken)
    {
        var cancellation = cancellationToken.UnsafeRegister(
            static state =>
            {
                var (engine, ticket) = ((ClientEngine, Ticket))state!;
                engine.Cancel(ticket);
            },
            (this, request.Ticket));

        await using (cancellation.ConfigureAwait(false))
            return await request.Task.ConfigureAwait(false);
    }

    // The application no longer waits for this ticket.
    public void Cancel(Ticket ticket)
    {
        lock (Gate)
            Run(ClientEvent.NewCancel(ticket));
    }

    // Fast path for the leading packets of the input that make up most of the traffic: messages that the state machine need
    // not see, and acknowledgments. Returns the rest. The gate is taken once per batch.
    public ReadOnlySequence<byte> Take(Link link, ReadOnlySequence<byte> input, ref long offset)
    {
        lock (Gate)
        {
            Turns.IsTaking = true;

            try
            {
                for (var left = PacketsInGate; left > 0 && link == current; left--)
                {
                    var framing = Framer.NextIn(link.Version, Direction.ServerToClient, MaximumPacketBytes, offset, input);

                    if (framing.Tag != Framing.Tags.Frame
                        || framing.Length > FrameBytesInGate
                        || !Take(link.Version, Framer.Memory(framing.Length, input).Span))
                    {
                        break;
                    }

                    offset += framing.Length;
                    input = input.Slice(framing.Length);
                }
            }
            finally
            {
                Turns.IsTaking = false;
            }
        }

        return input;
    }

    private bool Take(ProtocolVersion version, ReadOnlySpan<byte> frame)
    {
        if ((PacketType)(frame[0] >> 4) == PacketType.Publish)
        {
            if (!FastPath.TryPublishIn(version, Direction.ServerToClient, frame, out var view) || !ClientQoS0.MayDeliver(view, state))
                return false;

            Subscriptions.Deliver(view);
            return true;
        }

        if (!FastPath.TryAcknowledgementIn(version, Direction.ServerToClient, frame, out var acknowledgement))
            return false;

        Run(ClientEvent.NewReceivedAck(acknowledgement.Type, acknowledgement.PacketId.Value, acknowledgement.Reason));
        return true;
    }

    // From now on the client cannot be started; false when that was so before.
    public bool Retire()
    {
        lock (Gate)
        {
            if (isRetired)
                return false;

            isRetired = true;
            return true;
        }
    }

    public void Stop() => timer.Dispose();

    // One step and all of its effects, and then whatever these made due. Called under the gate.
    public void Run(ClientEvent happened)
    {
        deferred.Enqueue(happened);

        if (running)
            return;

        running = true;

        try
        {
            while (deferred.TryDequeue(out var next))
            {
                var (after, effects) = ClientSession.Step(Now(), next, state);
                state = after;
                // Before effects make the step visible to code that then reads the clock.
                Arm();
                ApplyAll(effects);
                TellCongestion();
            }
        }
        finally
        {
            running = false;
        }
    }

    // The transport has taken bytes. The state machine is told when half of the send buffer is free again, so that a slow
    // transport costs few steps. Called under the gate.
    public void Written(Link link)
    {
        if (link == current && state.Outbound.IsCongested && link.UnsentBytes <= options.SendBufferBytes / 2)
            Run(ClientEvent.NewTransportRoom(options.SendBufferBytes - link.UnsentBytes));
    }

    // Tells the state machine when the send buffer is full. Called under the gate.
    public void TellCongestion()
    {
        if (current?.UnsentBytes >= options.SendBufferBytes && state.IsConnected && !state.Outbound.IsCongested)
            Run(ClientEvent.NewTransportRoom(0));
    }

    public static Failure FailureOf(FailedPart part, Exception failure) => new(part, CauseText.Of(failure), failure);

    private static ulong RandomNumber()
    {
        Span<byte> bytes = stackalloc byte[8];
        RandomNumberGenerator.Fill(bytes);
        return BitConverter.ToUInt64(bytes);
    }

    // An effect that fails, such as for want of memory, ends the connection and keeps no other from its turn; else calls
    // would wait for ever, and the peer would miss what the state says that it got.
    private void ApplyAll(Effects effects)
    {
        var index = 0;

        while (index < effects.Count)
        {
            try
            {
                for (; index < effects.Count; index++)
                    Apply(effects[index]);
            }
            catch (Exception failure)
            {
                index++;

                if (current is { } link)
                    LinkEnded(link, failure);
            }
        }
    }

    private void Apply(in Effect effect)
    {
        switch (effect.Tag)
        {
            case Effect.Tags.Send:
                Send(effect.Packet!);
                break;
            case Effect.Tags.SendMessage:
                SendMessage(effect.Message!, effect.Id, effect.Alias, effect.IsNamed);
                break;
            case Effect.Tags.SendAck:
                SendAcknowledgement(effect.Kind, effect.Id, effect.Reason);
                break;
            case Effect.Tags.Deliver:
                Subscriptions.Deliver((Packet.Publish)effect.Packet!, effect.Token);
                break;
            case Effect.Tags.Settle:
                if (pending.Remove(effect.Ticket, out var settled))
                    settled.Settle(effect.Reason);
                break;
            case Effect.Tags.SettleWith:
                if (pending.Remove(effect.Ticket, out var answered))
                    answered.Settle(effect.Settlement!);
                break;
            case Effect.Tags.OpenTransport:
                OpenTransport(effect.Server, effect.Reference.ToText());
                break;
            case Effect.Tags.CloseTransport:
                current?.Close();
                current = null;
                break;
            case Effect.Tags.Challenge:
                Authentication.Challenge(effect.Authentication!);
                break;
            case Effect.Tags.Notify:
                Notify(effect.Notice!);
                break;
        }
    }

    private void Send(Packet packet)
    {
        if (current is not { } link)
            return;

        if (packet.IsPingreq)
        {
            link.Ping();
            return;
        }

        var size = Encode.SizeIn(link.Version, packet);
        Encode.WriteIn(link.Version, packet, link.Reserve(size));
        link.Advance(size);
        Log.Sent(Logger, link.Number, packet.Type, size);
    }

    private void SendMessage(Outgoing message, ushort id, ushort alias, bool isNamed)
    {
        if (current is not { } link)
            return;

        var size = OutgoingModule.SizeIn(link.Version, alias, isNamed, message);
        OutgoingModule.WriteIn(link.Version, id, alias, isNamed, message, link.Reserve(size));
        link.Advance(size);
        Log.Sent(Logger, link.Number, PacketType.Publish, size);
    }

    private void SendAcknowledgement(PacketType kind, ushort id, ReasonCode reason)
    {
        if (current is not { } link)
            return;

        const int longest = 5;
        link.AdvanceAcknowledgment(Encode.AcknowledgementIn(link.Version, kind, PacketId.Of(id), reason, link.Reserve(longest)));

        if (link.UnsentAcknowledgments > ClientSession.MaximumUnsentAcknowledgments)
            Run(ClientEvent.NewUnsentAcknowledgments(link.UnsentAcknowledgments));
    }

    private void OpenTransport(int index, string? reference)
    {
        var origin = Servers[index];
        var server = reference is null ? origin : ServerReference.Resolve(reference, origin);
        current?.Abort();
        current = new Link(this, server, ++linkCount, state.Version);
        flushed = current.Flushed;
        current.Start();
    }

    private void Notify(Notice notice)
    {
        switch (notice)
        {
            case Notice.Connected connected:
                Log.Connected(Logger, linkCount, connected.Connack.SessionPresent);
                Subscriptions.Opened();
                break;
            case Notice.Undeliverable undeliverable:
                Log.Undeliverable(Logger, undeliverable.Fault.Reason);
                break;
            case Notice.Unclaimed:
                Subscriptions.TellOfUnclaimed(waits: true);
                break;
            case Notice.DroppedUnclaimed:
                Subscriptions.TellOfUnclaimed(waits: false);
                break;
            case Notice.Closed closed:
                Subscriptions.End(Failures.Of(closed.Cause));
                break;
        }

        Notices.Tell(notice);
    }

    // Sets the timer if something is due before it. It is not set back for what is due later; then it finds nothing to do.
    private void Arm()
    {
        var due = ClientStateModule.Deadline(current?.Traffic ?? default, state);

        if (due.IsNone || due.Value >= armedFor)
            return;

        armedFor = due.Value;
        var delay = Math.Clamp(due.Value - Now(), 1, LongestTimerMilliseconds);
        timer.Change(TimeSpan.FromMilliseconds(delay), Timeout.InfiniteTimeSpan);
    }

    private void OnTimer()
    {
        lock (Gate)
        {
            armedFor = long.MaxValue;
            var traffic = current?.Traffic ?? default;
            var due = ClientStateModule.Deadline(traffic, state);

            if (due.IsSome && due.Value <= Now())
                Run(ClientEvent.NewTick(traffic));
            else
                Arm();
        }
    }
}
