using System.Collections.Frozen;

namespace Mqtt5.Cli;

/// <summary>A snapshot of the authentication and authorization files of a broker.</summary>
internal sealed class AccessState
{
    private readonly FrozenDictionary<string, string> entries;
    private readonly AccessGrant[] grants;

    private AccessState(MqttPasswordFile? passwords, FrozenDictionary<string, string> entries, MqttAccessRules? rules, AccessGrant[] grants)
    {
        Passwords = passwords;
        Rules = rules;
        this.entries = entries;
        this.grants = grants;
    }

    /// <summary>The names and passwords; null: clients need not authenticate.</summary>
    public MqttPasswordFile? Passwords { get; }

    /// <summary>The rules; null: everything is allowed.</summary>
    public MqttAccessRules? Rules { get; }

    /// <summary>Reads the files.</summary>
    /// <exception cref="UsageException">A file cannot be used; the message names it, and the line.</exception>
    public static async Task<AccessState> LoadAsync(BrokerRequest request, CancellationToken cancellationToken)
    {
        var (passwords, entries) = request.PasswordFile is { } passwordFile
            ? await ReadAsync("password-file", passwordFile, text => (MqttPasswordFile.Parse(text), EntriesOf(text)), cancellationToken).ConfigureAwait(false)
            : default((MqttPasswordFile?, FrozenDictionary<string, string>));
        var (rules, grants) = request.AccessFile is { } accessFile
            ? await ReadAsync("access-file", accessFile, text => (MqttAccessRules.Parse(text), AccessFile.Parse(text).ResultValue), cancellationToken).ConfigureAwait(false)
            : default((MqttAccessRules?, AccessGrant[]));
        return new AccessState(passwords, entries ?? FrozenDictionary<string, string>.Empty, rules, grants ?? []);
    }

    /// <summary>Whether a client with this name may still connect.</summary>
    public bool Knows(string? userName) => Passwords is null || userName is null || entries.ContainsKey(userName);

    /// <summary>
    /// Whether a client admitted under another state has to reconnect, because its password or its rules changed.
    /// </summary>
    public bool Changes(AccessState earlier, string clientId, string? userName) =>
        (userName is not null && entries.GetValueOrDefault(userName) != earlier.entries.GetValueOrDefault(userName))
        || grants.Except(earlier.grants).Concat(earlier.grants.Except(grants)).Any(grant => IsFor(grant.Subject, clientId, userName));

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
