using System.Collections.Frozen;

namespace Mqtt5.Cli;

/// <summary>A snapshot of the authentication and authorization files of a broker.</summary>
internal sealed class AccessState
{
    private readonly FrozenDictionary<string, string> entries;
    private readonly AccessGrant[] grants;
    private readonly FrozenDictionary<string, AccessState> listeners;

    private AccessState(
        MqttPasswordFile? passwords,
        FrozenDictionary<string, string> entries,
        IMqttBrokerAuthorizer? rules,
        AccessGrant[] grants,
        bool identityIsUserName,
        bool allowsAnonymous,
        FrozenDictionary<string, AccessState> listeners)
    {
        AllowsAnonymous = allowsAnonymous;
        this.listeners = listeners;
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

    /// <summary>Whether a listener with settings of its own lets anonymous clients in.</summary>
    public bool AllowsAnonymous { get; }

    /// <summary>Whether listeners have settings of their own.</summary>
    public bool IsByListener => listeners.Count > 0;

    /// <summary>Reads the files.</summary>
    /// <exception cref="UsageException">A file cannot be used; the message names it, and the line.</exception>
    public static async Task<AccessState> LoadAsync(BrokerRequest request, CancellationToken cancellationToken)
    {
        var listeners = new Dictionary<string, AccessState>(StringComparer.Ordinal);

        foreach (var access in request.Listeners.Select(listener => listener.Access).OfType<ListenerAccess>())
        {
            listeners[access.Name] = await LoadAsync(
                access.PasswordFile, null, access.AclFile, request.IdentityIsUserName, access.AllowAnonymous, FrozenDictionary<string, AccessState>.Empty, cancellationToken).ConfigureAwait(false);
        }

        return await LoadAsync(
            request.PasswordFile, request.AccessFile, request.MosquittoAclFile, request.IdentityIsUserName, false, listeners.ToFrozenDictionary(StringComparer.Ordinal), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What applies at a listener.</summary>
    /// <param name="listener">Its name; null: it has none.</param>
    public AccessState Of(string? listener) => listener is null ? this : listeners.GetValueOrDefault(listener, this);

    /// <summary>Whether a client with this name may still connect.</summary>
    public bool Knows(string? userName) =>
        Passwords is null || IdentityIsUserName || userName is null || entries.ContainsKey(userName);

    private static async Task<AccessState> LoadAsync(
        string? passwordFile,
        string? accessFile,
        string? aclFile,
        bool identityIsUserName,
        bool allowsAnonymous,
        FrozenDictionary<string, AccessState> listeners,
        CancellationToken cancellationToken)
    {
        var (passwords, entries) = passwordFile is not null
            ? await ReadAsync("password-file", passwordFile, text => (MqttPasswordFile.Parse(text), EntriesOf(text)), cancellationToken).ConfigureAwait(false)
            : default((MqttPasswordFile?, FrozenDictionary<string, string>));
        var (rules, grants) = await RulesAsync(accessFile, aclFile, cancellationToken).ConfigureAwait(false);
        return new AccessState(passwords, entries ?? FrozenDictionary<string, string>.Empty, rules, grants ?? [], identityIsUserName, allowsAnonymous, listeners);
    }

    /// <summary>
    /// Whether a client admitted under another state has to reconnect, because its password or its rules changed.
    /// </summary>
    public bool Changes(AccessState earlier, string clientId, string? userName) =>
        (userName is not null && entries.GetValueOrDefault(userName) != earlier.entries.GetValueOrDefault(userName))
        || grants.Except(earlier.grants).Concat(earlier.grants.Except(grants)).Any(grant => IsFor(grant.Subject, clientId, userName));

    private static async Task<(IMqttBrokerAuthorizer? Rules, AccessGrant[]? Grants)> RulesAsync(string? accessFile, string? aclFile, CancellationToken cancellationToken)
    {
        if (accessFile is not null)
            return await ReadAsync("access-file", accessFile, text => (MqttAccessRules.Parse(text), AccessFile.Parse(text).ResultValue), cancellationToken).ConfigureAwait(false);

        if (aclFile is not null)
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
