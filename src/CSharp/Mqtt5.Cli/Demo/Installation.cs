namespace Mqtt5.Cli;

/// <summary>How this command is called from a shell.</summary>
internal static class Installation
{
    /// <summary>The line that makes <c>mqtt5</c> a command of the shell; null where it is one, and on Windows.</summary>
    public static string? Alias()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);

        if (OperatingSystem.IsWindows() || folders.Any(folder => File.Exists(Path.Combine(folder, "mqtt5"))))
            return null;

        if (Environment.ProcessPath is not { } program)
            return null;

        if (Path.GetFileNameWithoutExtension(program) != "dotnet")
            return $"alias mqtt5={Quoted(program)}";

        var assembly = Path.Combine(AppContext.BaseDirectory, "mqtt5.dll");
        return $"alias mqtt5={Quoted($"dotnet {Quoted(assembly)}")}";
    }

    private static string Quoted(string text) =>
        text.All(character => char.IsAsciiLetterOrDigit(character) || "/._-".Contains(character, StringComparison.Ordinal))
            ? text
            : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
