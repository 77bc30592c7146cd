namespace Mqtt5.Cli;

/// <summary>The files of a TLS listener, and the settings that name them, for messages. Equal are those with equal names.</summary>
/// <param name="Certificate">The certificate and its chain, in PEM.</param>
/// <param name="Key">The private key, in PEM.</param>
/// <param name="Authorities">The authorities for client certificates: files in PEM; none: clients are not asked for one.</param>
/// <param name="CertificateSetting">The name of the setting of the certificate.</param>
/// <param name="AuthoritiesSetting">The name of the setting of the authorities.</param>
internal sealed record ServerTlsFiles(
    string Certificate, string Key, IReadOnlyList<string> Authorities, string CertificateSetting = "cert", string AuthoritiesSetting = "client-ca")
{
    /// <inheritdoc/>
    public bool Equals(ServerTlsFiles? other) =>
        other is not null && Certificate == other.Certificate && Key == other.Key && Authorities.SequenceEqual(other.Authorities);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Certificate, Key);
}
