using System.Text;

namespace Mqtt5.Cli;

/// <summary>Finds the password where the command line says it is.</summary>
internal static class PasswordSource
{
    /// <summary>The variable of the environment that is looked at when a User Name was given and no other source.</summary>
    public const string Variable = "MQTT5_PASSWORD";

    /// <summary>The password; null: there is none.</summary>
    /// <exception cref="UsageException">A source cannot be read.</exception>
    public static string? Read(ConnectionRequest request, Terminal terminal)
    {
        var sources = (request.Password is null ? 0 : 1) + (request.PasswordFile is null ? 0 : 1) + (request.AsksForPassword ? 1 : 0);

        if (sources > 1)
            throw new UsageException("give the password once: with -P or the URL, --pw-file or --pw-prompt");

        if (request.AsksForPassword)
            return SecretPrompt.Ask(terminal, "Password: ");

        if (request.PasswordFile is { } file)
            return ReadFile(file);

        return request.Password ?? (request.UserName is null ? null : Environment.GetEnvironmentVariable(Variable));
    }

    private static string ReadFile(string file)
    {
        try
        {
            using var reader = new StreamReader(file, new UTF8Encoding(false, throwOnInvalidBytes: true));
            return reader.ReadLine() ?? throw new UsageException($"--pw-file: {file} is empty");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"--pw-file: {file}: {exception.Message}");
        }
    }
}
