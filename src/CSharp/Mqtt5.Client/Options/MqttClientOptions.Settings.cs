using Microsoft.FSharp.Core;
using Mqtt5.Engine;
using Mqtt5.Transports;

namespace Mqtt5;

public sealed partial class MqttClientOptions
{
    // The settings of the core; throws ArgumentException for what the standard does not allow.
    internal ClientSettings ToSettings()
    {
        if (Servers.Count == 0)
            throw new ArgumentException("there is no server to connect to");

        if (Transport is null && Servers.FirstOrDefault(server => !UriTransport.Knows(server)) is { } unknown)
            throw new ArgumentException($"no transport for the scheme {unknown.Scheme}; it is mqtt, mqtts, ws, wss or unix");

        if (Proxy is { } proxy && !Transports.Proxy.Knows(proxy))
            throw new ArgumentException($"no proxy of the scheme {proxy.Scheme}; it is http or socks5");

        var keepAlive = Durations.Seconds(KeepAlive, nameof(KeepAlive));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keepAlive, (uint)ushort.MaxValue, nameof(KeepAlive));
        InRange(ReceiveMaximum, 1, ushort.MaxValue, nameof(ReceiveMaximum));
        InRange(MaximumInFlight ?? 1, 1, ushort.MaxValue, nameof(MaximumInFlight));
        InRange(MaximumPacketSize, 1, Spec.MaximumPacketBytes, nameof(MaximumPacketSize));
        InRange(TopicAliasMaximum, 0, ushort.MaxValue, nameof(TopicAliasMaximum));
        InRange(OutgoingTopicAliases, 0, ushort.MaxValue, nameof(OutgoingTopicAliases));
        InRange(Queue.MaximumMessages, 0, int.MaxValue, nameof(Queue.MaximumMessages));
        ArgumentOutOfRangeException.ThrowIfNegative(Queue.MaximumBytes, nameof(Queue.MaximumBytes));
        InRange(SendBufferBytes, 1, int.MaxValue, nameof(SendBufferBytes));

        // It may be 0, too.
        if (CloseTimeout != TimeSpan.Zero)
            Durations.Milliseconds(CloseTimeout, nameof(CloseTimeout));

        var properties = new ConnectProperties(
            SessionExpiry.ToSeconds(nameof(SessionExpiry)),
            FSharpValueOption<ushort>.Some((ushort)ReceiveMaximum),
            FSharpValueOption<uint>.Some((uint)MaximumPacketSize),
            TopicAliasMaximum == 0 ? FSharpValueOption<ushort>.None : FSharpValueOption<ushort>.Some((ushort)TopicAliasMaximum),
            RequestResponseInformation.ToOption(),
            RequestProblemInformation.ToOption(),
            UserProperties,
            FSharpValueOption<Authentication>.None);

        var clientId = string.IsNullOrEmpty(ClientId)
            ? FSharpValueOption<ClientId>.None
            : FSharpValueOption<ClientId>.Some(Mqtt5.ClientId.Of(ClientId));

        var policy = Versions.ToPolicy(Version, nameof(Version));
        var settings = new ClientSettings(
            policy,
            clientId,
            CleanStart,
            (ushort)keepAlive,
            properties,
            WillOf(Will, policy),
            Servers.Count,
            Durations.Milliseconds(ConnectTimeout, nameof(ConnectTimeout)),
            Durations.Milliseconds(PingTimeout, nameof(PingTimeout)),
            BackoffOf(Reconnect),
            Reconnect?.RetryFirstConnection ?? false,
            Reconnect?.FollowServerReference ?? false,
            new QueueLimits(Queue.MaximumMessages, Queue.MaximumBytes, Queue.WhenFull, Queue.KeepQoS0),
            (ushort)OutgoingTopicAliases,
            ((ushort?)MaximumInFlight).ToOption(),
            SendBufferBytes,
            true,
            WhenUnclaimed);

        var connect = Packet.NewConnect(new Connect(
            CleanStart,
            (ushort)keepAlive,
            properties,
            clientId,
            settings.Will,
            FSharpValueOption<Utf8String>.None,
            FSharpValueOption<Secret>.None));

        if (Encode.Check(Direction.ClientToServer, connect) is { IsSome: true } fault)
            throw new ArgumentException(fault.Value.ToString());

        CheckVersion(settings);
        return settings;
    }

    // Throws for what the version does not have.
    private void CheckVersion(ClientSettings settings)
    {
        var authentication = Authenticator is { } authenticator
            ? FSharpValueOption<Authentication>.Some(new Authentication(Utf8String.Of(authenticator.Method), default))
            : FSharpValueOption<Authentication>.None;

        if (ClientVersions.CheckSettings(authentication, settings) is { IsSome: true } fault)
            throw Failures.Of(fault.Value);

        if (PropagateTraceContext && ClientVersions.CheckUserProperties(settings.Version.First) is { IsSome: true } missing)
            throw Failures.NotSupported(missing.Value, nameof(PropagateTraceContext));
    }

    private static void InRange(int value, int minimum, int maximum, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, minimum, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, maximum, name);
    }

    private static FSharpValueOption<Backoff> BackoffOf(MqttReconnectOptions? reconnect)
    {
        if (reconnect is null)
            return FSharpValueOption<Backoff>.None;

        ArgumentOutOfRangeException.ThrowIfNegative(reconnect.Jitter, nameof(reconnect.Jitter));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(reconnect.Jitter, 1, nameof(reconnect.Jitter));
        ArgumentOutOfRangeException.ThrowIfEqual(reconnect.Jitter, double.NaN, nameof(reconnect.Jitter));

        return FSharpValueOption<Backoff>.Some(new Backoff(
            Durations.Milliseconds(reconnect.InitialDelay, nameof(reconnect.InitialDelay)),
            Durations.Milliseconds(reconnect.MaximumDelay, nameof(reconnect.MaximumDelay)),
            reconnect.Jitter));
    }

    private static FSharpValueOption<Will> WillOf(MqttWill? will, VersionPolicy policy)
    {
        if (will is null)
            return FSharpValueOption<Will>.None;

        var message = will.Message;
        var properties = message.ToProperties();

        return FSharpValueOption<Will>.Some(new Will(
            message.QoS,
            message.Retain,
            new WillProperties(
                will.Delay.ToSeconds(nameof(will.Delay)),
                message.AsksForFormat || policy.First.IsV5 ? properties.PayloadFormatIndicator : default,
                properties.MessageExpiryInterval,
                properties.ContentType,
                properties.ResponseTopic,
                properties.CorrelationData,
                properties.UserProperties),
            TopicName.Of(message.Topic),
            Bytes.Copy(message.Payload.Span)));
    }
}
