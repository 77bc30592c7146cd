
namespace Mqtt5.Cli;

/// <summary>
/// The user's default options, from a file with one per line, as in <c>-h broker.example</c>. It is a file of mosquitto's,
/// <c>mosquitto_pub</c>, <c>mosquitto_sub</c> and <c>mosquitto_rr</c>, if the command is invoked by such a name, and
/// otherwise <c>mqtt5_pub</c> and so on.
/// </summary>
internal static class ConfigurationFile
{
    private const int LongestName = 255;

    /// <summary>The user's configuration directory; null: there is none.</summary>
    public static string? UserFolder =>
        Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { Length: > 0 } folder ? folder
        : Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? Path.Combine(home, ".config")
        : null;

    /// <summary>The options of a file as arguments; none if there is no such file.</summary>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public static string[] Read(string? folder, string name)
    {
        if (folder is null || name.Length > LongestName)
            return [];

        var path = Path.Combine(folder, name);

        try
        {
            return File.Exists(path) ? [.. Parse(File.ReadAllBytes(path))] : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{path}: {exception.Message}");
        }
    }

    /// <summary>Parses the content of such a file into arguments.</summary>
    public static IEnumerable<string> Parse(ReadOnlySpan<byte> content)
    {
        var arguments = new List<string>();

        foreach (var line in ByteText.FromBytes(content).Split('\n').Select(line => line.TrimEnd('\r')))
        {
            if (line.Length == 0 || line[0] == '#')
                continue;

            // The value is the rest of the line, including blanks.
            var end = line.IndexOf(' ', StringComparison.Ordinal);
            var name = end < 0 ? line : line[..end];
            arguments.Add(name);

            if (end < 0)
                continue;

            var value = line[(end + 1)..].TrimStart(' ');
            arguments.AddRange(name is "-D" or "--property" ? PropertyOf(value) : [value]);
        }

        return arguments;
    }

    // A command, a name and a value; a User Property has a name of its own.
    private static string[] PropertyOf(string text)
    {
        var parts = text.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 3 && PropertyArguments.Length(parts[1]) > parts.Length
            ? [parts[0], parts[1], .. parts[2].Split(' ', 2)]
            : parts;
    }
}
