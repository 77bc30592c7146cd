using System.Diagnostics;
using System.Security.Cryptography;

namespace Mqtt5.Serving;

// What the node needs of this process. It relays, and decides nothing.
internal sealed partial class BrokerHost(BrokerEngine engine, IMqttBrokerAuthorizer? authorizer) : NodeHost
{
    private long lastTicket;

    public override BrokerSettings Settings => engine.Settings;

    public override bool IsStopping => engine.IsStopping;

    public override Broker Broker => engine.Registry.Current;

    public override long SpareBytes => engine.SpareBytes;

    public override long UnsentBytes => engine.Totals.BytesUnsent;

    public override bool ClaimsElsewhere => false;

    public override bool SeesMessages => engine.Hooks.SeesMessages;

    public override bool SeesDeliveries => engine.Hooks.SeesDeliveries;

    public override bool SeesDrops => engine.Hooks.SeesDrops;

    public override long Now() => engine.Now();

    public override void Replace(Broker next, BrokerChange[] changes)
    {
        engine.Registry.Replace(next);
        engine.Totals.Connected(next.Connections);
        engine.Watching.Changed(changes);
    }

    public override void EnterRegistry() => engine.Registry.Lock.Enter();

    public override void ExitRegistry() => engine.Registry.Lock.Exit();

    public override NodeSession? TryFind(SessionId session) => engine.Registry.TryFind(session);

    public override NodeSession Open(ServerState state) => engine.Registry.Open(state);

    public override NodeSession? Forget(SessionId session) => engine.Registry.Forget(session);

    public override (ServerState, Effects) Step(long now, in ServerEvent @event, ServerState state)
    {
        var result = ServerSession.Step(now, @event, state);
        Debug.Assert(ServerStateModule.Sound(result.Item1).IsNone, "the state of a session is not sound");
        return result;
    }

    public override void Stepped(NodeSession session, ServerState before, ServerState after) => engine.Watch((Session)session);

    public override void Queued(long messages, long bytes) => engine.Totals.Queued(messages, bytes);

    public override long Unparsed(long bytes) => engine.Totals.Unparsed(bytes);

    public override Ticket NextTicket() => new(Interlocked.Increment(ref lastTicket));

    public override long NextTurn(SharedGroup<SessionId> group) => engine.SharedCounters.Next(group);

    public override ClientId NewClientId() =>
        ClientId.Of($"auto-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12))}");

    // In memory, what is routed is kept: an acknowledgment waits for nothing.
    public override long Condition() => 0;

    public override void Hold(long condition, HeldAcknowledgement acknowledgement) =>
        throw new InvalidOperationException("no acknowledgment of this broker waits for a condition");

    public override Fault? Authorize(
        NodeConnection? connection, ClientId client, string? userName, out ClientPermissions? permissions)
    {
        permissions = null;

        if (authorizer is null)
            return null;

        try
        {
            var known = (Connection?)connection;
            var origin = known?.Origin;
            var identity = new MqttClientIdentity(client.Text, userName, origin?.EndPoint, origin is { IsInProcess: true })
            {
                State = known?.AuthenticationState,
                IsAway = known is null,
                Listener = origin?.Listener?.Name,
            };

            // Whatever the annotations of the application say.
            if (authorizer.Authorize(identity) is not { } given)
                return Authenticating.NotPermitted;

            if (!ReferenceEquals(given, MqttPermissions.All))
                permissions = new GuardedPermissions(given, engine.Logger);

            return null;
        }
        catch (Exception failure)
        {
            Log.HookFailed(engine.Logger, nameof(IMqttBrokerAuthorizer.Authorize), failure);
            return Authenticating.Unavailable;
        }
    }

    public override Interception Intercept(NodeSession session, ServerMessage message) =>
        engine.Hooks.Intercept(((Session)session).State.ClientId, message, isWill: false);

    public override Interception InterceptWill(ClientId client, ServerMessage message) =>
        engine.Hooks.Intercept(client, message, isWill: true);

    public override Subscribe? InterceptSubscribe(NodeSession session, Subscribe subscribe, ReasonCode[] decisions) =>
        engine.Hooks.Intercept((Session)session, subscribe, decisions);

    public override void Deliver(NodeSession session, Outgoing copy) => ((Session)session).Watch(copy);

    public override void Connected(NodeConnection connection, bool sessionPresent) =>
        ((Connection)connection).TellConnected(sessionPresent);

    public override void Disconnected(NodeConnection connection, Cause cause) =>
        ((Connection)connection).TellDisconnected(cause);

    public override void Delivered(NodeSession session, Ticket ticket, TopicName? topic, DeliveryEnd outcome)
    {
        var one = (Session)session;
        var delivery = ticket.IsNone ? null : one.Unwatch(ticket);

        if (outcome is DeliveryEnd.Acknowledged acknowledged)
        {
            if (delivery is not null)
                engine.Hooks.Delivered(one, delivery, acknowledged.Reason);
        }
        else if (outcome is DeliveryEnd.Dropped dropped)
        {
            var known = topic ?? delivery?.Topic;
            engine.Watching.Dropped(one, known, dropped.Why);

            if (known is not null)
                engine.Hooks.Dropped(one, known, dropped.Why);
        }
    }

    public override void Dropped(int count, Fault why) => engine.Watching.Dropped(count, why);

    public override void Refused(NodeSession session, TopicName? topic, Fault why)
    {
        engine.Watching.Dropped((Session)session, topic, why);
        Log.PublishRefused(engine.Logger, ((Session)session).State.ClientId.Text, why.Reason);
    }

    public override void Rejected(NodeConnection connection, RefusalKind kind, string? userName, Fault why)
    {
        var one = (Connection)connection;
        one.Rejection = why.Reason;
        engine.Refusals.Add(kind, one.Origin.EndPoint, userName, why.Detail);
    }

    public override void Renamed(NodeSession session) =>
        Log.AuthenticatedAsAnother(engine.Logger, ((Session)session).State.ClientId.Text);

    public override void Exceeded(LimitName limit) => engine.Exceeded(limit);

    public override void Count(TurnCounts counts) => engine.Totals.Add(counts);
}
