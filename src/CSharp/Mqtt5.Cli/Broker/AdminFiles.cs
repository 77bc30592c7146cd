namespace Mqtt5.Cli;

/// <summary>Where the tokens of the HTTP API are.</summary>
internal static class AdminFiles
{
    /// <summary>The file of the tokens unless another is named; null: the user has no folder of configuration files.</summary>
    public static string? DefaultTokenFile(Terminal terminal) =>
        terminal.ConfigurationFolder is { } folder ? Path.Combine(folder, "mqtt5-admin-tokens") : null;
}
