using System.Collections.Frozen;

namespace Mqtt5.Cli;

/// <summary>A snapshot of the authentication and authorization files of a broker.</summary>
internal sealed class AccessState
{
    private readonly FrozenDictionary<string, string> entries;
    private readonly AccessGrant[] grants;

    private AccessState(
        MqttPasswordFile? passwords,
        FrozenDictionary<string, string> entries,
        IMqttBrokerAuthorizer? rules,
        AccessGrant[] grants,
        bool identityIsUserName)
    {
        IdentityIsUserName = identityIsUserName;
        Passwords = passwords;
        Rules = rules;
        this.entries = entries;
        this.grants = grants;
    }

    /// <summary>The names and passwords; null: clients need not authenticate.</summary>
    public MqttPasswordFile? Passwords { get; }

    /// <summary>The rules; null: everything is allowed.</summary>
    public IMqttBrokerAuthorizer? Rules { get; }

    /// <summary>Whether a client's certificate names its user.</summary>
    public bool IdentityIsUserName { get; }

    /// <summary>Reads the files.</summary>
    /// <exception cref="UsageException">A file cannot be used; the message names it, and the line.</exception>
    public static async Task<AccessState> LoadAsync(BrokerRequest request, CancellationToken cancellationToken)
    {
        var (passwords, entries) = request.PasswordFile is { } passwordFile
            ? await ReadAsync("password-file", passwordFile, text => (MqttPasswordFile.Parse(text), EntriesOf(text)), cancellationToken).ConfigureAwait(false)
            : default((MqttPasswordFile?, FrozenDictionary<string, string>));
        var (rules, grants) = await RulesAsync(request, cancellationToken).ConfigureAwait(false);
        return new AccessState(passwords, entries ?? FrozenDictionary<string, string>.Empty, rules, grants ?? [], request.IdentityIsUserName);
    }

    /// <summary>Whether a client with this name may still connect.</summary>
    public bool Knows(string? userName) =>
        Passwords is null || IdentityIsUserName || userName is null || entries.ContainsKey(userName);

    /// <summary>
    /// Whether a client admitted under another state has to reconnect, because its password or its rules changed.
    /// </summary>
    public bool Changes(AccessState earlier, string clientId, string? userName) =>
        (userName is not null && entries.GetValueOrDefault(userName) != earlier.entries.GetValueOrDefault(userName))
        || grants.Except(earlier.grants).Concat(earlier.grants.Except(grants)).Any(grant => IsFor(grant.Subject, clientId, userName));

    private static async Task<(IMqttBrokerAuthorizer? Rules, AccessGrant[]? Grants)> RulesAsync(BrokerRequest request, CancellationToken cancellationToken)
    {
        if (request.AccessFile is { } accessFile)
            return await ReadAsync("access-file", accessFile, text => (MqttAccessRules.Parse(text), AccessFile.Parse(text).ResultValue), cancellationToken).ConfigureAwait(false);

        if (request.MosquittoAclFile is { } aclFile)
            return await ReadAsync("acl_file", aclFile, text => MosquittoAcl.Parse(text) is var acl ? (acl, acl.Grants) : default, cancellationToken).ConfigureAwait(false);

        return default;
    }

    private static bool IsFor(AccessSubject subject, string clientId, string? userName) =>
        subject switch
        {
            AccessSubject.User user => user.Name == userName,
            AccessSubject.Client client => client.Name == clientId,
            { IsAnonymous: true } => userName is null,
            _ => true,
        };

    private static FrozenDictionary<string, string> EntriesOf(string text) =>
        text.Split('\n')
            .Select(line => line.TrimEnd('\r'))
            .Where(line => line.Length > 0 && line[0] != '#')
            .ToFrozenDictionary(line => line[..line.IndexOf(':', StringComparison.Ordinal)], StringComparer.Ordinal);

    private static async Task<T> ReadAsync<T>(string setting, string path, Func<string, T> parse, CancellationToken cancellationToken)
    {
        try
        {
            return parse(await SharedFile.ReadAsync(path, mustExist: true, cancellationToken).ConfigureAwait(false));
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{setting}: {path}: {exception.Message}");
        }
    }
}
