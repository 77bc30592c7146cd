using System.Text;

namespace Mqtt5.Cli;

/// <summary>Changes a password file.</summary>
internal static class PasswordVerb
{
    /// <summary>Sets or deletes the password of a name.</summary>
    public static async Task<int> RunAsync(PasswordRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var (file, name, delete, _) = request;

        try
        {
            var lines = File.Exists(file) ? [.. await File.ReadAllLinesAsync(file, cancellationToken)] : new List<string>();
            MqttPasswordFile.Parse(string.Join('\n', lines));
            var known = lines.RemoveAll(line => line.StartsWith(name + ":", StringComparison.Ordinal)) > 0;

            if (delete && !known)
                throw new UsageException($"{file}: there is no {name}");

            if (!delete)
                lines.Add(Line(request, Encoding.UTF8.GetBytes(await ReadPasswordAsync(terminal, cancellationToken))));

            await ReplaceAsync(file, lines, cancellationToken);
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (exception is UsageException or IOException or UnauthorizedAccessException
            or FormatException or ArgumentException)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
    }

    private static string Line(PasswordRequest request, byte[] password) =>
        request.ScramIterations is { } iterations
            ? MqttPasswordFile.Line(request.Name, MqttScramCredentials.Derive(password, iterations))
            : MqttPasswordFile.Line(request.Name, password);

    private static async Task<string> ReadPasswordAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        if (!terminal.IsInputRedirected)
        {
            if (SecretPrompt.Ask(terminal, "Password: ") is not { Length: > 0 } typed)
                throw new UsageException("no password was typed");

            // Nobody sees what was typed, and a mistake would be found only by the client that cannot connect.
            return SecretPrompt.Ask(terminal, "The same again: ") == typed
                ? typed
                : throw new UsageException("the two are not the same; nothing was changed");
        }

        using var reader = new StreamReader(terminal.OpenInput(), new UTF8Encoding(false, true));
        return await reader.ReadLineAsync(cancellationToken) is { Length: > 0 } password
            ? password
            : throw new UsageException("there is no password on standard input");
    }

    // As a whole or not at all, and for nobody else's eyes.
    private static async Task ReplaceAsync(string file, List<string> lines, CancellationToken cancellationToken)
    {
        var draft = $"{file}.{Guid.NewGuid():N}";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };

        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

        try
        {
            await using (var writer = new StreamWriter(draft, new UTF8Encoding(false), options))
            {
                foreach (var line in lines)
                    await writer.WriteLineAsync(line.AsMemory(), cancellationToken);
            }

            File.Move(draft, file, overwrite: true);
        }
        catch
        {
            File.Delete(draft);
            throw;
        }
    }
}
