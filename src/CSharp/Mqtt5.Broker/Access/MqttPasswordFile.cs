using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using Mqtt5.Signing;

namespace Mqtt5;

/// <summary>
/// Names and passwords of clients, from a file with a line for each: <c>NAME:pbkdf2-sha512:ITERATIONS:SALT:HASH</c> or
/// <c>NAME:scram-sha-256:ITERATIONS:SALT:STORED-KEY:SERVER-KEY</c>, the last ones in Base64. A name may hold anything but
/// a colon and line ends. Lines of mosquitto's password files are taken too: <c>NAME:$7$ITERATIONS$SALT$HASH</c>
/// (PBKDF2-SHA512) and <c>NAME:$6$SALT$HASH</c> (one SHA-512, which resists guessing badly: set the password anew).
/// Lines that are empty or begin with # say nothing.
/// All of them may sign in with User Name and Password, and those with <c>scram-sha-256</c> also by enhanced
/// authentication with SCRAM-SHA-256, as <see cref="MqttScramAuthenticator"/> does it. Clients with neither are refused.
/// <para>
/// Hashing is slow by design and uses at most half of the processors. Client addresses are served round-robin; 100 clients
/// per address may wait, and more are refused with 0x89, Server busy. Clients that disconnect leave the queue, and a client
/// whose password was verified in the last hour does not wait. Unknown names take as long as known ones.
/// </para>
/// Safe to use from many threads.
/// </summary>
public sealed class MqttPasswordFile : IMqttBrokerAuthenticator
{
    private const string Scheme = "pbkdf2-sha512";
    private const int Iterations = 210_000;
    private const int MostIterations = 10_000_000;
    private const int SaltBytes = 16;
    private const int HashBytes = 64;
    private const string ScramScheme = "scram-sha-256";
    private const string Forms = $"NAME:{Scheme}:ITERATIONS:SALT:HASH or NAME:{ScramScheme}:ITERATIONS:SALT:STORED-KEY:SERVER-KEY";

    private readonly FrozenDictionary<string, Entry> entries;
    private readonly HashQueue queue = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly RecentPasswords recent;
    // Hash parameters for unknown user names, drawn from those in the file with the same frequencies, so that response time
    // does not reveal which names exist. They are in order of what they cost, so that the same name costs the same when some
    // lines of the file have changed.
    private readonly Entry[] unknownUserEntries;
    private readonly UnknownUserScram unknownUserScram;

    private MqttPasswordFile(Dictionary<string, Entry> entries, TimeProvider time)
    {
        this.entries = entries.ToFrozenDictionary(StringComparer.Ordinal);
        recent = new RecentPasswords(time);
        unknownUserEntries = entries.Count == 0
            ? [new Entry(Iterations, new HashedPassword(Iterations, new byte[SaltBytes], new byte[HashBytes]).Matches, null)]
            : [.. entries.Values.OrderBy(entry => entry.Scram is null).ThenBy(entry => entry.Iterations)];
        unknownUserScram = new UnknownUserScram(entries.Values.Where(entry => entry.Scram is not null).Select(entry => entry.Scram!));
    }

    // The number of clients whose password waits to be hashed.
    internal int Waiting => queue.Waiting;

    /// <summary>Reads a file in UTF-8.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The names and passwords.</returns>
    /// <exception cref="FormatException">A line is not as it should be; the message says which.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MqttPasswordFile Load(string path) => Parse(File.ReadAllText(path));

    /// <summary>Reads what such a file holds.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The names and passwords.</returns>
    /// <exception cref="FormatException">A line is not as it should be; the message says which.</exception>
    public static MqttPasswordFile Parse(string text) => Parse(text, TimeProvider.System);

    internal static MqttPasswordFile Parse(string text, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(text);
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        var number = 0;

        foreach (var line in text.Split('\n').Select(line => line.TrimEnd('\r')))
        {
            number++;

            if (line.Length == 0 || line[0] == '#')
                continue;

            if (ParseLine(line) is not var (name, entry))
                throw new FormatException($"line {number} is not {Forms}");

            if (!entries.TryAdd(name, entry))
                throw new FormatException($"line {number} has a name that stands above already");
        }

        return new MqttPasswordFile(entries, time);
    }

    /// <summary>The line for a client, with a salt drawn at random.</summary>
    /// <param name="userName">The name.</param>
    /// <param name="password">The password.</param>
    /// <returns>The line without its end.</returns>
    /// <exception cref="ArgumentException">The name is empty, begins with #, or holds a colon or a control character.</exception>
    public static string Line(string userName, ReadOnlySpan<byte> password)
    {
        CheckName(userName);
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        var hash = Rfc2898DeriveBytes.Pbkdf2(password, salt, Iterations, HashAlgorithmName.SHA512, HashBytes);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{userName}:{Scheme}:{Iterations}:{Convert.ToBase64String(salt)}:{Convert.ToBase64String(hash)}");
    }

    /// <summary>The line for a client that may also sign in with SCRAM-SHA-256.</summary>
    /// <param name="userName">The name.</param>
    /// <param name="credentials">What is kept of its password.</param>
    /// <returns>The line without its end.</returns>
    /// <exception cref="ArgumentException">The name is empty, begins with #, or holds a colon or a control character.</exception>
    public static string Line(string userName, MqttScramCredentials credentials)
    {
        CheckName(userName);
        ArgumentNullException.ThrowIfNull(credentials);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{userName}:{ScramScheme}:{credentials.Iterations}:{Convert.ToBase64String(credentials.Salt.Span)}:{Convert.ToBase64String(credentials.StoredKey.Span)}:{Convert.ToBase64String(credentials.ServerKey.Span)}");
    }

    /// <inheritdoc/>
    public async ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);

        if (context.Method == MqttScramAuthenticator.Method)
        {
            return await ScramExchange.StepAsync(
                context,
                (sought, _) => new(entries.GetValueOrDefault(sought)?.Scram),
                unknownUserScram,
                cancellationToken).ConfigureAwait(false);
        }

        if (context.Method is not null)
            return MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod);

        if (context.UserName is not { } name || context.Password is not { } password)
            return MqttAuthenticationResult.Refused();

        if (recent.Contains(name, password.Span))
            return MqttAuthenticationResult.Accepted;

        // An unknown user name takes as long as a known one, against user enumeration.
        var isKnown = entries.ContainsKey(name);
        var expected = EntryOf(name).Matches;
        var isRight = await queue.RunAsync(
            HashQueue.AddressOf(context.EndPoint), () => expected(password.Span), cancellationToken).ConfigureAwait(false);

        if (isRight is null)
            return MqttAuthenticationResult.Refused(ReasonCode.ServerBusy);

        if (!isKnown || !isRight.Value)
            return MqttAuthenticationResult.Refused();

        recent.Add(name, password.Span);
        return MqttAuthenticationResult.Accepted;
    }

    // The number of hash iterations for this name, known or not.
    internal int IterationsOf(string name) => EntryOf(name).Iterations;

    private Entry EntryOf(string name) =>
        entries.TryGetValue(name, out var entry) ? entry : unknownUserEntries[UnknownUserKey.Pick(name, unknownUserEntries.Length)];

    private static void CheckName(string userName)
    {
        ArgumentException.ThrowIfNullOrEmpty(userName);

        if (userName[0] == '#' || userName.Contains(':', StringComparison.Ordinal) || userName.Any(char.IsControl))
            throw new ArgumentException("the name begins with #, or holds a colon or a control character", nameof(userName));
    }

    private static (string Name, Entry Entry)? ParseLine(string line)
    {
        var parts = line.Split(':');

        if (parts is [{ Length: > 0 } known, ['$', .. var hashed]])
            return MosquittoHash.TryParse(hashed) is { } hash ? (known, new Entry(hash.Iterations, hash.Matches, null)) : null;

        if (parts is not [{ Length: > 0 } name, var scheme, var iterations, .. var values]
            || !int.TryParse(iterations, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count is < 1 or > MostIterations)
        {
            return null;
        }

        try
        {
            var bytes = values.Select(Convert.FromBase64String).ToArray();
            return (scheme, bytes) switch
            {
                (Scheme, [var salt, var hash]) when HashedPassword.IsUsable(salt, hash) =>
                    (name, new Entry(count, new HashedPassword(count, salt, hash).Matches, null)),
                (ScramScheme, [var salt, var storedKey, var serverKey])
                    when new MqttScramCredentials(count, salt, storedKey, serverKey) is var credentials =>
                    (name, new Entry(count, credentials.Matches, credentials)),
                _ => null,
            };
        }
        catch (Exception failure) when (failure is FormatException or ArgumentException)
        {
            return null;
        }
    }

    private delegate bool Check(ReadOnlySpan<byte> password);

    private sealed record Entry(int Iterations, Check Matches, MqttScramCredentials? Scram);

    private sealed class HashedPassword(int iterations, byte[] salt, byte[] hash)
    {
        public static bool IsUsable(byte[] salt, byte[] hash) => salt.Length >= 8 && hash.Length is >= 16 and <= HashBytes;

        public bool Matches(ReadOnlySpan<byte> password)
        {
            Span<byte> given = stackalloc byte[HashBytes];
            given = given[..hash.Length];
            Rfc2898DeriveBytes.Pbkdf2(password, salt, given, iterations, HashAlgorithmName.SHA512);
            return CryptographicOperations.FixedTimeEquals(given, hash);
        }
    }
}
