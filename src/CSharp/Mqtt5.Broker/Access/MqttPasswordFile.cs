using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;

namespace Mqtt5;

/// <summary>
/// Names and passwords of clients, from a file with a line for each: <c>NAME:pbkdf2-sha512:ITERATIONS:SALT:HASH</c>, salt
/// and hash in Base64. A name may hold anything but a colon and line ends. Lines that are empty or begin with # say
/// nothing. Clients without User Name and Password, and those with enhanced authentication, are refused.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no wait handle, so there is nothing to free.")]
public sealed class MqttPasswordFile : IMqttBrokerAuthenticator
{
    private const string Scheme = "pbkdf2-sha512";
    private const int Iterations = 210_000;
    private const int MostIterations = 10_000_000;
    private const int SaltBytes = 16;
    private const int HashBytes = 64;

    // Hashing is slow on purpose: this many at a time, so that strangers cannot take all of the machine.
    private readonly SemaphoreSlim turns = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly FrozenDictionary<string, Entry> entries;
    private readonly Entry nobody = new(Iterations, new byte[SaltBytes], new byte[HashBytes]);

    private MqttPasswordFile(Dictionary<string, Entry> entries) => this.entries = entries.ToFrozenDictionary(StringComparer.Ordinal);

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
    public static MqttPasswordFile Parse(string text)
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
                throw new FormatException($"line {number} is not NAME:{Scheme}:ITERATIONS:SALT:HASH");

            if (!entries.TryAdd(name, entry))
                throw new FormatException($"line {number} has a name that stands above already");
        }

        return new MqttPasswordFile(entries);
    }

    /// <summary>The line for a client, with a salt drawn at random.</summary>
    /// <param name="userName">The name.</param>
    /// <param name="password">The password.</param>
    /// <returns>The line without its end.</returns>
    /// <exception cref="ArgumentException">The name is empty, begins with #, or holds a colon or a control character.</exception>
    public static string Line(string userName, ReadOnlySpan<byte> password)
    {
        ArgumentException.ThrowIfNullOrEmpty(userName);

        if (userName[0] == '#' || userName.Contains(':', StringComparison.Ordinal) || userName.Any(char.IsControl))
            throw new ArgumentException("the name begins with #, or holds a colon or a control character", nameof(userName));

        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        var hash = Rfc2898DeriveBytes.Pbkdf2(password, salt, Iterations, HashAlgorithmName.SHA512, HashBytes);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{userName}:{Scheme}:{Iterations}:{Convert.ToBase64String(salt)}:{Convert.ToBase64String(hash)}");
    }

    /// <inheritdoc/>
    public async ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);

        if (context.Method is not null)
            return MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod);

        if (context.UserName is not { } name || context.Password is not { } password)
            return MqttAuthenticationResult.Refused();

        // A name that nobody has takes as long as any other.
        var isKnown = entries.TryGetValue(name, out var entry);
        var expected = entry ?? nobody;
        await turns.WaitAsync(cancellationToken).ConfigureAwait(false);

        try
        {
            var isRight = await Task.Run(() => expected.Matches(password.Span), cancellationToken).ConfigureAwait(false);
            return isKnown && isRight ? MqttAuthenticationResult.Accepted : MqttAuthenticationResult.Refused();
        }
        finally
        {
            turns.Release();
        }
    }

    private static (string Name, Entry Entry)? ParseLine(string line)
    {
        var parts = line.Split(':');

        if (parts is not [{ Length: > 0 } name, Scheme, var iterations, var salt, var hash]
            || !int.TryParse(iterations, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count is < 1 or > MostIterations)
        {
            return null;
        }

        try
        {
            var entry = new Entry(count, Convert.FromBase64String(salt), Convert.FromBase64String(hash));
            return entry.IsUsable ? (name, entry) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private sealed class Entry(int iterations, byte[] salt, byte[] hash)
    {
        public bool IsUsable => salt.Length >= 8 && hash.Length is >= 16 and <= HashBytes;

        public bool Matches(ReadOnlySpan<byte> password)
        {
            Span<byte> given = stackalloc byte[HashBytes];
            given = given[..hash.Length];
            Rfc2898DeriveBytes.Pbkdf2(password, salt, given, iterations, HashAlgorithmName.SHA512);
            return CryptographicOperations.FixedTimeEquals(given, hash);
        }
    }
}
