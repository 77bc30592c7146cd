using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Mqtt5.Cli;

/// <summary>Asks the HTTP API of a broker, and prints its answer.</summary>
internal static class CtlVerb
{
    private const int PageEntries = 1_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Does what is asked for.</summary>
    public static async Task<int> RunAsync(CtlRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var action = CtlAction.All.First(one => one.Name == request.Action);
        Check(action, request);

        try
        {
            using var client = CreateClient(request, await TokenAsync(request, terminal, cancellationToken));

            if (!action.HasPages)
            {
                using var answer = await AskAsync(client, action, action.Path(request), request, cancellationToken);
                await CtlText.WriteAsync(terminal.Output, action, answer, request.Json);
                return ExitCode.WellFormed;
            }

            var rows = new List<JsonElement>();
            string? cursor = null;

            do
            {
                var path = string.Format(CultureInfo.InvariantCulture, action.Path(request), Math.Min(PageEntries, request.Limit - rows.Count));
                using var page = await AskAsync(client, action, cursor is null ? path : $"{path}&cursor={cursor}", request, cancellationToken);
                rows.AddRange(page!.RootElement.GetProperty("items").EnumerateArray().Select(row => row.Clone()));
                cursor = page.RootElement.TryGetProperty("next", out var next) ? next.GetString() : null;
            }
            while (cursor is not null && rows.Count < request.Limit);

            await CtlText.WriteRowsAsync(terminal.Output, action.Columns!, rows, request.Json);
            return ExitCode.WellFormed;
        }
        catch (CtlException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.Fault;
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or InvalidOperationException or KeyNotFoundException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {request.Url}: {(exception is HttpRequestException ? PeerText.Show(exception.Message) : "it does not answer as the API of a broker")}");
            return ExitCode.Fault;
        }
    }

    private static void Check(CtlAction action, CtlRequest request)
    {
        if (request.Name is null && action.IsRequired)
            throw new UsageException($"{action.Name} needs {action.Argument}");

        if (request.Name is not null && action.Argument is null)
            throw new UsageException($"{action.Name} takes no argument");

        if (request.Topic is null && action.NeedsTopic)
            throw new UsageException($"{action.Name} needs TOPIC");

        if (request.Topic is not null && !action.NeedsTopic)
            throw new UsageException($"{action.Name} takes one argument at most");
    }

    // The last token of the file: the broker writes that of the administrator there. Health needs none.
    private static async Task<string?> TokenAsync(CtlRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var file = request.TokenFile ?? AdminFiles.DefaultTokenFile(terminal);

        if (file is null || (request.TokenFile is null && !File.Exists(file)))
            return request.Action == "health" ? null : throw new UsageException("there is no token; give --token-file, as the broker made it");

        var text = await SharedFile.ReadAsync(file, mustExist: true, cancellationToken);
        var line = text.Split('\n').Select(one => one.Trim()).LastOrDefault(one => one.Length > 0 && one[0] != '#');
        return line?.Split(' ')[^1] is { Length: > 0 } token && token.All(char.IsAscii) ? token : throw new UsageException($"--token-file: {file}: there is no token in it");
    }

    private static HttpClient CreateClient(CtlRequest request, string? token)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false };

        if (request.Authorities is { } file)
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = PolicyOf(file) };

        var client = new HttpClient(handler) { BaseAddress = request.Url, Timeout = Patience };
        client.DefaultRequestHeaders.Add("Mqtt5-Admin", "1");

        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);

        return client;
    }

    private static X509ChainPolicy PolicyOf(string file)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };

        try
        {
            policy.CustomTrustStore.ImportFromPemFile(file);
            return policy;
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--cafile: {file}: {exception.Message}");
        }
    }

    // Null: there is no content.
    private static async Task<JsonDocument?> AskAsync(HttpClient client, CtlAction action, string path, CtlRequest request, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(action.Method, path);

        if (action.HasBody)
            message.Content = BodyOf(request);

        using var response = await client.SendAsync(message, cancellationToken);
        var content = await response.Content.ReadAsByteArrayAsync(cancellationToken);

        if (response.IsSuccessStatusCode)
            return content.Length == 0 ? null : JsonDocument.Parse(content);

        throw new CtlException(WhyOf(response.StatusCode, content));
    }

    private static ByteArrayContent BodyOf(CtlRequest request)
    {
        using var buffer = new MemoryStream();

        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("topic", request.Name);
            json.WriteString("payload", request.Message);
            json.WriteNumber("qos", request.QoS);
            json.WriteBoolean("retain", request.Retain);
            json.WriteEndObject();
        }

        var content = new ByteArrayContent(buffer.ToArray());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json") { CharSet = Encoding.UTF8.WebName };
        return content;
    }

    // The problem as the API tells it, or the status of something else that answers there.
    private static string WhyOf(HttpStatusCode status, byte[] content)
    {
        try
        {
            using var problem = JsonDocument.Parse(content);
            var root = problem.RootElement;
            var detail = Member(root, "detail") ?? Member(root, "status") ?? status.ToString();
            return PeerText.Show(Member(root, "where") is { } where ? $"{where}: {detail}" : detail);
        }
        catch (JsonException)
        {
            return $"the answer is {(int)status} {status}, and none of the API of a broker";
        }
    }

    private static string? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private sealed class CtlException(string message) : Exception(message);
}
