using System.Buffers;
using System.Diagnostics;
using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// The part of a connection before it belongs to a session.
internal sealed partial class Connection
{
    // Null once the connection belongs to a session.
    private HandshakeState? handshake;
    private MqttAuthenticationContext? authentication;
    private string? userName;
    private long offset;

    // Called by the sweep.
    public void TickHandshake()
    {
        if (Session is not null || handshake is not { } before)
            return;

        StepHandshake(HandshakeEvent.Tick, out _);

        if (!before.Phase.IsOver && handshake is { Phase.IsOver: true })
            engine.Exceeded(LimitName.ConnectTimeout);
    }

    // Called when the broker shuts down. A client that is being admitted is told once it belongs to its session.
    public void Refuse()
    {
        lock (ownGate)
        {
            if (Session is null && handshake is { Phase: var phase } && !phase.IsAdmitting)
                Close();
        }
    }

    // Reads CONNECT, and AUTH if need be, until the connection belongs to a session. False: it was refused or lost.
    private async Task<bool> GreetAsync()
    {
        while (!Volatile.Read(ref closing))
        {
            var result = await input.ReadAsync().ConfigureAwait(false);
            var buffer = result.Buffer;
            HandshakeEvent? happened = null;

            var framing = Framer.Next(Direction.ClientToServer, engine.Settings.Limits.PacketBytesBeforeConnect, offset, buffer);

            if (framing.Tag == Framing.Tags.Broken)
            {
                happened = HandshakeEvent.NewReceivedFault(framing.Fault!);
                engine.Exceeded(LimitTable.OfFault(false, framing.Fault!));
                buffer = buffer.Slice(buffer.End);
            }
            else if (framing.Tag == Framing.Tags.Frame)
            {
                happened = Parse(framing.Length, buffer);
                offset += framing.Length;
                buffer = buffer.Slice(framing.Length);
            }

            // Bytes that follow the packet are read again; none are lost.
            input.AdvanceTo(buffer.Start, happened is null ? buffer.End : buffer.Start);

            if (happened is { } event_)
            {
                if (await TakeAsync(event_).ConfigureAwait(false))
                    return true;
            }
            else if (result.IsCompleted)
            {
                StepHandshake(HandshakeEvent.TransportClosed, out _);
                return false;
            }
        }

        return false;
    }

    private HandshakeEvent Parse(int length, ReadOnlySequence<byte> buffer)
    {
        var worker = engine.Rent();
        worker.Counts.PacketsReceived++;
        worker.Counts.BytesReceived += length;
        engine.Return(worker);

        var frame = Framer.Copy(length, buffer);
        var parsed = Grammar.Parse(Direction.ClientToServer, engine.Settings.Limits.PacketBytesBeforeConnect, offset, frame);
        return parsed.IsOk
            ? HandshakeEvent.NewReceived(parsed.ResultValue)
            : HandshakeEvent.NewReceivedFault(parsed.ErrorValue);
    }

    // Takes an event and all that follows from it. True once the connection belongs to a session.
    private async Task<bool> TakeAsync(HandshakeEvent happened)
    {
        using var activity = Telemetry.Source.StartActivity("mqtt5.broker.connect", ActivityKind.Server);
        activity?.SetTag("network.peer.address", Origin.EndPoint);

        while (true)
        {
            StepHandshake(happened, out var task);
            var flush = Outlet.FlushAsync();

            // A peer that does not take a CONNACK is cut off by the time for connecting.
            await flush.ConfigureAwait(false);

            switch (task)
            {
                case ServerTask.Authenticate authenticate:
                    happened = HandshakeEvent.NewJudged(await JudgeAsync(authenticate.Packet).ConfigureAwait(false));
                    break;
                case ServerTask.Admit admit:
                    var refused = await AdmitAsync(admit.Connect, admit.Authentication).ConfigureAwait(false);

                    if (refused is not { } reason)
                    {
                        activity?.SetTag("mqtt.client.id", Session!.State.ClientId.Text);
                        return true;
                    }

                    activity?.SetStatus(ActivityStatusCode.Error, reason.ToString());

                    happened = HandshakeEvent.NewNotAdmitted(reason);
                    break;
                default:
                    return false;
            }
        }
    }

    private void StepHandshake(HandshakeEvent happened, out ServerTask? task)
    {
        task = null;

        lock (ownGate)
        {
            if (handshake is null)
                return;

            var (after, effects) = Handshake.Step(engine.Now(), happened, handshake);
            handshake = after;

            for (var index = 0; index < effects.Count; index++)
            {
                var effect = effects[index];

                switch (effect.Tag)
                {
                    case Effect.Tags.Send:
                        var size = Encode.Size(effect.Packet!);
                        Encode.Write(effect.Packet!, Outlet.Reserve(size));
                        Outlet.Advance(size);
                        break;
                    case Effect.Tags.CloseTransport:
                        Close();
                        break;
                    case Effect.Tags.Serve:
                        task = effect.Work;
                        break;
                }
            }
        }
    }

    private async Task<Judgement> JudgeAsync(Packet packet)
    {
        if (engine.Authenticator is not { } authenticator || IsWelcome(packet))
        {
            return HasMethod(packet)
                ? Judgement.NewRefused(ReasonCode.BadAuthenticationMethod)
                : Judgement.NewAccepted(FSharpValueOption<Authentication>.None);
        }

        if (packet is Packet.Connect { Connect: var connect })
            authentication = new MqttAuthenticationContext(connect, Origin.EndPoint, Origin.Certificate, Origin.IsInProcess);
        else
            authentication!.Take(((Packet.Auth)packet).Auth.Authentication);

        authentication.IsReauthentication = Session is not null;

        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(StopToken(), Origin.Closed);
            limit.CancelAfter(TimeSpan.FromMilliseconds(engine.Settings.Limits.ConnectTimeout));
            // One that does not look at the token must not hold the connection, which others wait for.
            var result = await authenticator.AuthenticateAsync(authentication, limit.Token).AsTask()
                .WaitAsync(limit.Token).ConfigureAwait(false);
            return IsSameUser(result) ? JudgementOf(result) : Judgement.NewRefused(ReasonCode.NotAuthorized);
        }
        catch (OperationCanceledException)
        {
            return Judgement.NewRefused(ReasonCode.ServerUnavailable);
        }
        catch (Exception failure)
        {
            Log.AuthenticatorFailed(engine.Logger, failure);
            return Judgement.NewRefused(ReasonCode.ServerUnavailable);
        }
    }

    // Permissions and subscriptions are those of the name that the connection began with, so it keeps that name.
    private bool IsSameUser(MqttAuthenticationResult result)
    {
        if (result.Reason != ReasonCode.Success)
            return true;

        var proven = result.UserName ?? authentication!.UserName;

        if (Session is null)
        {
            userName = proven;
            return true;
        }

        if (proven == userName)
            return true;

        Log.AuthenticatedAsAnother(engine.Logger, Session.State.ClientId.Text);
        return false;
    }

    // A client of the same process, or one without a name where that is allowed.
    private bool IsWelcome(Packet packet) =>
        packet is Packet.Connect { Connect: var connect }
        && connect.Properties.Authentication.IsNone
        && (Origin.IsInProcess || (engine.AllowAnonymous && connect.UserName.IsNone && connect.Password.IsNone));

    private static bool HasMethod(Packet packet) =>
        packet is Packet.Auth || packet is Packet.Connect { Connect.Properties.Authentication.IsSome: true };

    private Judgement JudgementOf(MqttAuthenticationResult result)
    {
        if (result.Reason >= ReasonCode.UnspecifiedError)
            return Judgement.NewRefused(result.Reason);

        var data = authentication!.Method is { } method && result.Data is { } bytes
            ? FSharpValueOption<Authentication>.Some(new Authentication(
                Utf8String.Of(method), FSharpValueOption<Secret>.Some(new Secret(Bytes.Copy(bytes.Span)))))
            : FSharpValueOption<Authentication>.None;

        if (result.Reason != ReasonCode.ContinueAuthentication)
            return Judgement.NewAccepted(data);

        return data.IsSome ? Judgement.NewContinue(data.Value) : Judgement.NewRefused(ReasonCode.BadAuthenticationMethod);
    }

    // Enters the client in the registry and attaches the connection. Null when it belongs to a session now.
    private async Task<ReasonCode?> AdmitAsync(Connect connect, FSharpValueOption<Authentication> final)
    {
        // A name that no authenticator accepted is only believed of a client of the same process.
        if (Origin.IsInProcess)
            userName ??= connect.UserName.IsSome ? connect.UserName.Value.Text : null;

        var admission = engine.Admit(this, connect, userName, final, out var earlier);

        if (admission is { } refused)
            return refused;

        // Neither CONNECT nor its password is needed any more.
        lock (ownGate)
            handshake = null;

        if (authentication is { Method: null })
            authentication = null;

        if (engine.IsStopping)
            engine.Dismiss(Session!);

        // What the connection before had begun is finished first, so that messages keep their order.
        if (earlier is not null)
            await earlier.ReadingEnded.WaitAsync(StopToken()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        return null;
    }
}
