using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Admin;

// The tokens of a server of its own, by role, in a file that only its owner may read: a line for each, the role and the token.
internal sealed class AdminTokens
{
    private const int TokenBytes = 32;
    private const int LeastCharacters = 20;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly (MqttAdminRole Role, byte[] Hash)[] hashes;

    private AdminTokens(IEnumerable<(MqttAdminRole Role, string Token)> tokens, string? created)
    {
        hashes = [.. tokens.Select(one => (one.Role, HashOf(one.Token)))];
        Created = created;
    }

    // The token of the administrator, if the file was made; null: there was one.
    public string? Created { get; }

    public static void Check(string path) => Read(path);

    // Reads the file, or makes it.
    public static AdminTokens Open(string path)
    {
        if (File.Exists(path))
            return new AdminTokens(Read(path), null);

        var tokens = Enum.GetValues<MqttAdminRole>().Select(role => (Role: role, Token: Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(TokenBytes)))).ToArray();

        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
            Directory.CreateDirectory(folder);

        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };

        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;

        using (var writer = new StreamWriter(path, Encoding.UTF8, options))
        {
            foreach (var (role, token) in tokens)
                writer.Write($"{role.ToString().ToLowerInvariant()} {token}\n");
        }

        return new AdminTokens(tokens, tokens[^1].Token);
    }

    // The role of a token; null: it is none. The time does not depend on which characters are right.
    public MqttAdminRole? RoleOf(string token)
    {
        var hash = HashOf(token);
        MqttAdminRole? found = null;

        foreach (var (role, known) in hashes)
        {
            if (CryptographicOperations.FixedTimeEquals(hash, known))
                found = role;
        }

        return found;
    }

    private static byte[] HashOf(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    private static List<(MqttAdminRole Role, string Token)> Read(string path)
    {
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & ~(OwnerOnly | UnixFileMode.UserExecute)) != 0)
            throw new IOException($"{path}: others than its owner may read the tokens; 'chmod 600' keeps them private");

        var tokens = new List<(MqttAdminRole, string)>();
        var number = 0;

        foreach (var line in File.ReadLines(path))
        {
            number++;
            var text = line.Trim();

            if (text.Length == 0 || text[0] == '#')
                continue;

            // The token itself is not told.
            var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

            if (parts.Length != 2 || !Enum.TryParse<MqttAdminRole>(parts[0], ignoreCase: true, out var role) || !Enum.IsDefined(role) || char.IsAsciiDigit(parts[0][0]))
                throw new IOException($"{path}: line {number}: it is no role (viewer, operator, administrator) and its token");

            if (parts[1].Length < LeastCharacters)
                throw new IOException($"{path}: line {number}: the token has fewer than {LeastCharacters} characters");

            tokens.Add((role, parts[1]));
        }

        return tokens.Count > 0 ? tokens : throw new IOException($"{path}: there is no token in it");
    }
}
