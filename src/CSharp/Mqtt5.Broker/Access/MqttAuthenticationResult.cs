namespace Mqtt5;

/// <summary>What an authenticator makes of a client.</summary>
public sealed class MqttAuthenticationResult
{
    private MqttAuthenticationResult(ReasonCode reason, string? userName, ReadOnlyMemory<byte>? data, DateTimeOffset? expiresAt = null)
    {
        if (data is { Length: > ushort.MaxValue })
            throw new ArgumentException("Authentication Data is longer than 65,535 bytes", nameof(data));

        Reason = reason;
        UserName = userName;
        Data = data;
        ExpiresAt = expiresAt;
    }

    /// <summary>The client is who it says it is, under its User Name.</summary>
    public static MqttAuthenticationResult Accepted { get; } = new(ReasonCode.Success, null, null);

    /// <summary>The client may connect without a proven name: it is anonymous, whatever User Name it sent.</summary>
    public static MqttAuthenticationResult Anonymous { get; } = new(ReasonCode.Success, null, null) { IsAnonymous = true };

    internal bool IsAnonymous { get; private init; }

    internal ReasonCode Reason { get; }

    internal string? UserName { get; }

    internal ReadOnlyMemory<byte>? Data { get; }

    internal DateTimeOffset? ExpiresAt { get; }

    /// <summary>The client is accepted under this name, whatever its User Name is.</summary>
    /// <param name="userName">The name.</param>
    /// <param name="data">The last data of enhanced authentication; null: none.</param>
    /// <param name="expiresAt">
    /// When the client is disconnected with 0x87, Not authorized, unless it authenticates again before; null: never. A client
    /// before MQTT 5 has its connection closed.
    /// </param>
    /// <returns>The judgement.</returns>
    /// <exception cref="ArgumentException">The data is longer than 65,535 bytes.</exception>
    public static MqttAuthenticationResult AcceptedAs(
        string userName, ReadOnlyMemory<byte>? data = null, DateTimeOffset? expiresAt = null)
    {
        ArgumentNullException.ThrowIfNull(userName);
        return new MqttAuthenticationResult(ReasonCode.Success, userName, data, expiresAt);
    }

    /// <summary>The client has to answer this with AUTH; only with enhanced authentication.</summary>
    /// <param name="data">The data for the client.</param>
    /// <returns>The judgement.</returns>
    /// <exception cref="ArgumentException">The data is longer than 65,535 bytes.</exception>
    public static MqttAuthenticationResult Continue(ReadOnlyMemory<byte> data) =>
        new(ReasonCode.ContinueAuthentication, null, data);

    /// <summary>The client is refused.</summary>
    /// <param name="reason">Why; a code of failure that CONNACK may have.</param>
    /// <returns>The judgement.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The code is one of success.</exception>
    public static MqttAuthenticationResult Refused(ReasonCode reason = ReasonCode.BadUserNameOrPassword)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan((byte)reason, (byte)0x80, nameof(reason));
        return new MqttAuthenticationResult(reason, null, null);
    }
}
