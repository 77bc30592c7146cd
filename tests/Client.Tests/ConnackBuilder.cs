using Microsoft.FSharp.Core;

namespace Mqtt5.Client.Tests;

// The properties of a CONNACK, by name.
internal sealed class ConnackBuilder
{
    public uint? SessionExpiryInterval { get; init; }

    public ushort? ReceiveMaximum { get; init; }

    public QoS? MaximumQoS { get; init; }

    public bool? RetainAvailable { get; init; }

    public uint? MaximumPacketSize { get; init; }

    public string? AssignedClientId { get; init; }

    public ushort? TopicAliasMaximum { get; init; }

    public string? ReasonString { get; init; }

    public bool? SharedAvailable { get; init; }

    public ushort? KeepAlive { get; init; }

    public string? ResponseInformation { get; init; }

    public string? ServerReference { get; init; }

    public (string Method, byte[]? Data)? Authentication { get; init; }

    public ConnackProperties Build() =>
        new(
            Of(SessionExpiryInterval),
            Of(ReceiveMaximum),
            Of(MaximumQoS),
            Of(RetainAvailable),
            Of(MaximumPacketSize),
            Text(AssignedClientId),
            Of(TopicAliasMaximum),
            Text(ReasonString),
            UserProperties.Empty,
            default,
            default,
            Of(SharedAvailable),
            Of(KeepAlive),
            Text(ResponseInformation),
            Text(ServerReference),
            Authentication is { } authentication
                ? Peer.Some(AuthenticationOf(authentication.Method, authentication.Data))
                : default);

    public static Authentication AuthenticationOf(string method, byte[]? data) =>
        new(Utf8String.Of(method), data is null ? default : Peer.Some(new Secret(Bytes.OfArray(data))));

    private static FSharpValueOption<T> Of<T>(T? value)
        where T : struct => value is { } some ? Peer.Some(some) : default;

    private static FSharpValueOption<Utf8String> Text(string? text) => text is null ? default : Peer.Some(Utf8String.Of(text));
}
