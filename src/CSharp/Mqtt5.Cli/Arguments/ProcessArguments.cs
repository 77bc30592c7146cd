namespace Mqtt5.Cli;

/// <summary>
/// The name and the arguments of the process as it was called, without loss. The runtime puts U+FFFD in the place of bytes
/// that are no UTF-8, and a payload would become another one; and it does not tell the name of a link that was called.
/// </summary>
/// <param name="Name">The name of the program or of the link to it, without its folder; null: the system does not tell.</param>
/// <param name="Arguments">The arguments, with each byte that is no UTF-8 kept as <see cref="ByteText"/> says.</param>
internal sealed record ProcessArguments(string? Name, string[] Arguments)
{
    private const char Replacement = '\uFFFD';
    private const string CommandLineFile = "/proc/self/cmdline";

    /// <summary>Reads them where the system tells them, and takes those of the runtime elsewhere.</summary>
    /// <param name="decoded">The arguments as the runtime gives them.</param>
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

    /// <summary>Takes them from a command line in which a zero ends each argument.</summary>
    public static ProcessArguments Of(string[] decoded, ReadOnlySpan<byte> commandLine)
    {
        var all = new List<string>();

        while (commandLine.IndexOf((byte)0) is >= 0 and var end)
        {
            all.Add(ByteText.FromBytes(commandLine[..end]));
            commandLine = commandLine[(end + 1)..];
        }

        // Before the arguments come the program and, where a host runs it, its assembly.
        var first = all.Count - decoded.Length;
        return first >= 1 && all.Skip(first).Zip(decoded).All(pair => IsSame(pair.First, pair.Second))
            ? new ProcessArguments(Path.GetFileName(all[first - 1]), [.. all.Skip(first)])
            : new ProcessArguments(null, decoded);
    }

    private static bool IsSame(string raw, string decoded) =>
        raw == decoded || decoded.Contains(Replacement, StringComparison.Ordinal);
}
