namespace Mqtt5.AspNetCore;

/// <summary>How clients authenticate by tokens. Read once, when the broker is made.</summary>
public sealed class MqttTokenOptions
{
    private const int MostTokenBytes = 65_535;

    /// <summary>
    /// The scheme that validates tokens. It gets them in the header <c>Authorization: Bearer</c> of a request that has the
    /// address of the client and nothing else. Default: <c>Bearer</c>, the name of <c>AddJwtBearer</c> without one.
    /// </summary>
    public string Scheme { get; set; } = "Bearer";

    /// <summary>The Authentication Method of clients of MQTT 5 that show their token by it. Default: <c>OAUTH2-JWT</c>.</summary>
    public string Method { get; set; } = "OAUTH2-JWT";

    /// <summary>
    /// The type of the claim that is the client's user name; null, the default: <c>sub</c>, or <c>nameidentifier</c>, into
    /// which <c>AddJwtBearer</c> maps it. A token without it is refused with 0x87.
    /// </summary>
    public string? NameClaim { get; set; }

    /// <summary>
    /// The scheme for clients with a client certificate that show no token, such as <c>Certificate</c>; null, the default: they
    /// are refused.
    /// </summary>
    public string? CertificateScheme { get; set; }

    /// <summary>The longest token, in bytes: 1 to 65,535. Longer ones are refused without being looked at. Default: 16,384.</summary>
    public int MaximumTokenBytes { get; set; } = 16_384;

    /// <summary>
    /// How long after its expiry a token still counts. The tolerance of the scheme (<c>ClockSkew</c>) applies first, when it
    /// validates the token. At least zero; default: zero.
    /// </summary>
    public TimeSpan ExpiryTolerance { get; set; }

    internal void Check()
    {
        ArgumentException.ThrowIfNullOrEmpty(Scheme);
        ArgumentException.ThrowIfNullOrEmpty(Method);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumTokenBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumTokenBytes, MostTokenBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(ExpiryTolerance, TimeSpan.Zero);
    }
}
