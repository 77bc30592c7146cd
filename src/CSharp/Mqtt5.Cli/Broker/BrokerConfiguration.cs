using Microsoft.Extensions.Configuration;

namespace Mqtt5.Cli;

/// <summary>Reads the settings of a broker from a JSON file whose keys are the names of the options.</summary>
internal static class BrokerConfiguration
{
    /// <summary>Puts what the file says into a request. Relative paths in it are relative to its folder.</summary>
    /// <exception cref="UsageException">The file cannot be used; the message names it, the key and the reason.</exception>
    public static void Apply(string file, BrokerRequest request)
    {
        foreach (var section in Read(file).GetChildren())
        {
            var setting = BrokerSetting.All.FirstOrDefault(one => string.Equals(one.Key, section.Key, StringComparison.OrdinalIgnoreCase))
                ?? throw new UsageException($"{file}: {section.Key}: there is no such setting{Suggestion(section.Key)}");

            if (section.Value is not { } text)
                throw new UsageException($"{file}: {section.Key}: it has to be one value");

            try
            {
                setting.Set(request, setting.Value is "FILE" or "DIR" ? Beside(file, text) : text);
            }
            catch (FormatException failure)
            {
                throw new UsageException($"{file}: {section.Key}: {failure.Message}");
            }
        }
    }

    private static IConfigurationRoot Read(string file)
    {
        try
        {
            // Read whole, so that a file that is not there, or not for our eyes, is told as such.
            using var content = new MemoryStream(File.ReadAllBytes(file));
            return new ConfigurationBuilder().AddJsonStream(content).Build();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--config: {file}: {failure.Message}");
        }
        catch (Exception failure) when (failure is FormatException or InvalidDataException or System.Text.Json.JsonException)
        {
            throw new UsageException($"{file}: {(failure.InnerException ?? failure).Message}");
        }
    }

    private static string Beside(string file, string path) =>
        path.Length == 0 ? path : Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, path);

    // A name that only lacks its dashes, or has them.
    private static string Suggestion(string key)
    {
        var plain = Plain(key);
        var meant = BrokerSetting.All.FirstOrDefault(one => Plain(one.Key) == plain);
        return meant is null ? "" : $"; {meant.Key} is meant?";
    }

    private static string Plain(string key) =>
        new string([.. key.Where(char.IsAsciiLetterOrDigit)]).ToUpperInvariant();
}
