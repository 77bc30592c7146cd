namespace Mqtt5.Cli;

/// <summary>
/// The name and the arguments of the process, without loss. The runtime replaces invalid UTF-8 by U+FFFD, which would change
/// a payload, and does not expose the name of the link that was invoked.
/// </summary>
/// <param name="Name">The file name of the program or of the link to it; null: not available on this system.</param>
/// <param name="Arguments">The arguments, with each byte that is no UTF-8 kept as <see cref="ByteText"/> says.</param>
internal sealed record ProcessArguments(string? Name, string[] Arguments)
{
    private const char Replacement = '\uFFFD';
    private const string CommandLineFile = "/proc/self/cmdline";

    /// <summary>Reads them from the operating system where possible, and otherwise uses the runtime's.</summary>
    /// <param name="decoded">The arguments as decoded by the runtime.</param>
    public static ProcessArguments Read(string[] decoded)
    {
        try
        {
            return Of(decoded, File.ReadAllBytes(CommandLineFile));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new ProcessArguments(null, decoded);
        }
    }

    /// <summary>Parses a command line of NUL-terminated arguments.</summary>
    public static ProcessArguments Of(string[] decoded, ReadOnlySpan<byte> commandLine)
    {
        var all = new List<string>();

        while (commandLine.IndexOf((byte)0) is >= 0 and var end)
        {
            all.Add(ByteText.FromBytes(commandLine[..end]));
            commandLine = commandLine[(end + 1)..];
        }

        // The arguments follow the program and, if a host runs it, its assembly.
        var first = all.Count - decoded.Length;
        return first >= 1 && all.Skip(first).Zip(decoded).All(pair => IsSame(pair.First, pair.Second))
            ? new ProcessArguments(Path.GetFileName(all[first - 1]), [.. all.Skip(first)])
            : new ProcessArguments(null, decoded);
    }

    private static bool IsSame(string raw, string decoded) =>
        raw == decoded || decoded.Contains(Replacement, StringComparison.Ordinal);
}
