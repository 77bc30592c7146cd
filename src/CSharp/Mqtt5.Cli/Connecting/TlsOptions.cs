using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The options about TLS, with the names that mosquitto's clients give them.</summary>
/// <param name="asksForTls">Whether naming authorities asks for TLS where no URL says so.</param>
internal sealed class TlsOptions(bool asksForTls)
{
    private readonly Option<string?> authorityFile = FileOption.Of("The authorities to trust, in PEM" + End(asksForTls), "--cafile");
    private readonly Option<string?> authorityFolder = FileOption.Of("A folder of such files" + End(asksForTls), "--capath");
    private readonly Option<bool> systemAuthorities = new("--tls-use-os-certs") { Description = "Trust the authorities of the system" + End(asksForTls), Arity = ArgumentArity.Zero };
    private readonly Option<string?> certificate = FileOption.Of("The client's certificate, in PEM, and those between it and its authority behind it; needs --key.", "--cert");
    private readonly Option<string?> key = FileOption.Of("Its private key, in PEM.", "--key");
    private readonly Option<bool> anyName = new("--insecure") { Description = "Do not compare the host with the name in the server's certificate. For tests only.", Arity = ArgumentArity.Zero };
    private readonly Option<string?> version = new("--tls-version") { Description = "The version of TLS: tlsv1.2 or tlsv1.3. Default: what the system prefers.", HelpName = "VERSION", CompletionSources = { "tlsv1.2", "tlsv1.3" } };
    private readonly Option<string?> applicationProtocol = new("--tls-alpn") { Description = "The protocol to ask for with ALPN.", HelpName = "PROTOCOL" };

    /// <summary>All of them, in the order of the help.</summary>
    public IEnumerable<Option> All =>
        [authorityFile, authorityFolder, systemAuthorities, certificate, key, anyName, version, applicationProtocol];

    /// <summary>Reads what was given.</summary>
    /// <exception cref="UsageException">A certificate without a key, or a key without a certificate.</exception>
    public TlsRequest Read(ParseResult result)
    {
        if ((result.GetValue(certificate) is null) != (result.GetValue(key) is null))
            throw new UsageException("--cert and --key need each other");

        return new TlsRequest
        {
            AuthorityFile = result.GetValue(authorityFile),
            AuthorityFolder = result.GetValue(authorityFolder),
            Certificate = result.GetValue(certificate),
            Key = result.GetValue(key),
            AllowsAnyName = result.GetValue(anyName),
            Version = result.GetValue(version),
            ApplicationProtocol = result.GetValue(applicationProtocol),
            UsesSystemAuthorities = result.GetValue(systemAuthorities),
        };
    }

    private static string End(bool asksForTls) => asksForTls ? "; asks for TLS." : ".";
}
