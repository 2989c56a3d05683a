using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>AMAZON_BEDROCK_RUNTIME</c>: asks a language model, which has ten seconds for its answer.</summary>
internal sealed class BedrockDataSource(ServiceEndpoint endpoint, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.Bedrock, timeProvider)
{
    private static readonly string[] s_converseMembers =
    [
        "messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "promptVariables", "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
    ];

    /// <inheritdoc/>
    protected override TimeSpan TimeoutMax { get; } = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var operation = request.GetWord("operation", "InvokeModel", "Converse");
        var model = Uri.EscapeDataString(request.GetText("modelId"));
        var message = operation == "InvokeModel" ? CreateInvoke(model, request) : CreateConverse(model, request);
        message.Headers.Add(new("Content-Type", "application/json"));
        message.Headers.Add(new("Accept", "application/json"));
        var reply = await endpoint.SendAsync(message, cancellationToken);
        return reply.Fault != DataSourceFault.None ? Faulted(reply.Fault)
            : reply.IsSuccess ? FromJson(reply.Body)
            : FromServiceError(reply);
    }

    private static ServiceRequest CreateInvoke(string model, RequestReader request)
    {
        var message = new ServiceRequest(HttpMethod.Post, $"/model/{model}/invoke", HttpParameters.GetBody(request.Get("body")));
        AddHeader("X-Amzn-Bedrock-GuardrailIdentifier", request.FindText("guardrailIdentifier"));
        AddHeader("X-Amzn-Bedrock-GuardrailVersion", request.FindText("guardrailVersion"));
        AddHeader("X-Amzn-Bedrock-Trace", request.FindText("guardrailTrace"));
        return message;

        void AddHeader(string name, string? value)
        {
            if (value is not null)
            {
                message.Headers.Add(new(name, value));
            }
        }
    }

    private static ServiceRequest CreateConverse(string model, RequestReader request)
    {
        request.GetList("messages");
        return new ServiceRequest(HttpMethod.Post, $"/model/{model}/converse", JsonValues.Write(writer =>
        {
            writer.WriteStartObject();
            foreach (var name in s_converseMembers)
            {
                if (request.Find(name) is { } value)
                {
                    writer.WritePropertyName(name);
                    value.WriteTo(writer);
                }
            }

            writer.WriteEndObject();
        }));
    }
}
