using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Mqtt5.HttpHook.Observability;

namespace Mqtt5.HttpHook.Requests;

// Sends questions to the server, so many at a time and for so long. The log says what went wrong in words of this code:
// messages of exceptions may have what was sent or answered.
internal sealed partial class HookRequests(
    IHttpClientFactory clients, MqttHttpHookOptions options, SemaphoreSlim places, ILogger logger, Func<TimeProvider> clock)
{
    // Null: there is no answer.
    public async Task<HookAnswer?> PostAsync(HookSubject subject, Uri url, byte[] question)
    {
        var started = Stopwatch.GetTimestamp();
        using var limit = new CancellationTokenSource(options.TimeLimit, clock());
        HookAnswer? answer = null;

        try
        {
            answer = await SendInTurnAsync(url, question, limit.Token).ConfigureAwait(false);
        }
        catch (NoAnswerException failure)
        {
            LogNoAnswer(logger, subject, failure.Message);
        }
        catch (HttpRequestException failure)
        {
            LogNoAnswer(logger, subject, failure.HttpRequestError.ToString());
        }
        catch (Exception failure)
        {
            // Of a handler of the application, or the connection broke.
            LogNoAnswer(logger, subject, limit.IsCancellationRequested ? "time limit" : failure.GetType().Name);
        }

        HookTelemetry.Asked(subject, answer, Stopwatch.GetElapsedTime(started));
        return answer;
    }

    private async Task<HookAnswer> SendInTurnAsync(Uri url, byte[] question, CancellationToken limit)
    {
        await places.WaitAsync(limit).ConfigureAwait(false);

        try
        {
            // A handler of the application that does not heed the limit is left to itself.
            return await SendAsync(url, question, limit).WaitAsync(limit).ConfigureAwait(false);
        }
        finally
        {
            places.Release();
        }
    }

    private async Task<HookAnswer> SendAsync(Uri url, byte[] question, CancellationToken limit)
    {
        using var client = clients.CreateClient(MqttHttpHookExtensions.HttpClientName);
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(question) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));

        foreach (var (name, value) in options.Headers)
            request.Headers.Add(name, value);

        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit).ConfigureAwait(false);

        if (response.StatusCode != HttpStatusCode.OK)
            throw new NoAnswerException($"status {(int)response.StatusCode}");

        var body = await ReadAsync(response.Content, limit).ConfigureAwait(false);
        return HookAnswer.Read(body.Span) ?? throw new NoAnswerException("answer not understood");
    }

    private async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContent content, CancellationToken limit)
    {
        var most = options.MaximumAnswerBytes;

        if (content.Headers.ContentLength > most)
            throw new NoAnswerException("answer too long");

        var stream = await content.ReadAsStreamAsync(limit).ConfigureAwait(false);
        var buffer = new byte[Math.Min(most, 4_096) + 1];
        var length = 0;

        await using (stream.ConfigureAwait(false))
        {
            while (await stream.ReadAsync(buffer.AsMemory(length), limit).ConfigureAwait(false) is > 0 and var read)
            {
                length += read;

                if (length > most)
                    throw new NoAnswerException("answer too long");

                if (length == buffer.Length)
                    Array.Resize(ref buffer, Math.Min(2 * length, most + 1));
            }
        }

        return buffer.AsMemory(0, length);
    }

    [LoggerMessage(1, LogLevel.Warning, "the HTTP hook gave no answer about {Subject}: {Reason}")]
    private static partial void LogNoAnswer(ILogger logger, HookSubject subject, string reason);

    // Why there is no answer, for the log.
    private sealed class NoAnswerException(string message) : Exception(message);
}
